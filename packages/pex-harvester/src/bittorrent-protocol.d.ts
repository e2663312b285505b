/** What is used of bittorrent-protocol 5.0.9, which ships no types. */
declare module 'bittorrent-protocol' {
  import type { EventEmitter } from 'node:events'

  export default class Wire extends EventEmitter {
    /** Both sides have the fast bit (BEP 6). */
    readonly hasFast: boolean
    /** Our ids of extension messages (BEP 10): the `m` that is sent. */
    extendedMapping: Record<number, string>
    /** The extension handshake that is sent, without `m`. */
    extendedHandshake: Record<string, unknown>
    handshake(infoHash: string, peerId: Uint8Array, reserved: { dht: boolean; fast: boolean }): void
    haveNone(): void
    extended(id: number, payload: Uint8Array): void
    /** The write side of the stream: bytes from the peer. Handlers run, and throw, inside. */
    _write(bytes: Uint8Array, done: () => void): void
    destroy(): void
  }
}
