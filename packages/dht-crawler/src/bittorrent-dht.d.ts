/** What we use of bittorrent-dht 11.0.12, k-rpc 5.1.0 and k-bucket 5.1.0, which ship no types. */

declare module 'k-rpc' {
  // An ambient module may not import a relative one.
  type TableSocket = import('./table-socket.ts').TableSocket
  type Node = { id: Buffer; host: string; port: number }

  export interface KRpc {
    readonly id: Buffer
    /** The routing table: nodes that have answered. */
    readonly nodes: {
      count(): number
      toArray(): Node[]
      closest(target: Buffer, max: number): Node[]
      get(id: Buffer): Node | null
      remove(id: Buffer): void
    }
  }
  export default function krpc(options: {
    krpcSocket: TableSocket
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
    destroy(done: () => void): void
  }
}

declare module 'k-bucket' {
  import type { EventEmitter } from 'node:events'

  export default class KBucket<Node extends { id: Buffer }> extends EventEmitter {
    constructor(options: { localNodeId: Uint8Array; numberOfNodesPerKBucket: number })
    add(node: Node): void
    get(id: Buffer): Node | null
    remove(id: Buffer): void
    count(): number
    closest(target: Buffer, max: number): Node[]
    toArray(): Node[]
  }
}
