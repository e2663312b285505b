/** The part of bittorrent-dht that is compared with. It ships no types. */
declare module 'bittorrent-dht' {
  import type { EventEmitter } from 'node:events'
  export default class DHT extends EventEmitter {
    constructor(options?: { bootstrap?: string[] | false })
    lookup(infoHash: Uint8Array, done: (error: Error | null, peers: number) => void): () => void
    destroy(done: () => void): void
  }
}
