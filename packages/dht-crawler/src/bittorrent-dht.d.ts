/** What we use of bittorrent-dht 11.0.12 and k-rpc 5.1.0, which ship no types. */

declare module 'k-rpc' {
  // An ambient module may not import a relative one.
  type KrpcQuery = import('./krpc.ts').KrpcQuery
  type KrpcPeer = import('./krpc-interface.ts').KrpcPeer
  type KrpcSocket = import('./krpc-interface.ts').KrpcSocket
  type QueryCallback = import('./krpc-interface.ts').QueryCallback

  export interface KRpc {
    readonly id: Buffer
    /** The routing table: nodes that have answered. */
    readonly nodes: { count(): number; toArray(): { id: Buffer; host: string; port: number }[] }
    /** Waits until fewer than `concurrency` queries are in flight. */
    query(peer: KrpcPeer, query: { q: string; a: Partial<KrpcQuery['a']> }, callback: QueryCallback): void
  }
  export default function krpc(options: {
    krpcSocket: KrpcSocket
    id: Uint8Array
    concurrency: number
    /** Must be false: undefined means public routers. */
    bootstrap: false
  }): KRpc
}

declare module 'bittorrent-dht' {
  import type { EventEmitter } from 'node:events'
  import type { KRpc } from 'k-rpc'

  export class Client extends EventEmitter {
    constructor(options: { krpc: KRpc; bootstrap: false })
    /** Starts the upkeep of the routing table. */
    listen(): void
    /** `done` is not called when the client is destroyed first. */
    lookup(infoHash: Uint8Array, done: () => void): void
    destroy(done: () => void): void
  }
}
