/**
 * A stream of plain text over a stream that carries MSE. What is written before the peer's public key came goes out
 * with the handshake as its initial payload; so a BitTorrent handshake costs no round trip of its own. The stream has
 * no deadline: whoever waits for the peer's BitTorrent handshake has one, and the MSE handshake is a part of that wait.
 */
import { Buffer } from 'node:buffer'
import { Duplex } from 'node:stream'
import { type InfoHash, limits, messageOf, type Random, type TcpStream } from '@swarmatlas/core'
import { type Agreement, initiate, MseError, respond, type Side, type SideComponents, type Want } from './handshake.ts'

export interface MseStream extends Duplex {
  /** Of the stream below, handshake included. */
  readonly bytesRead: number
  readonly bytesWritten: number
  /** What the two sides agreed on; undefined until the first plain text came, at the latest. */
  readonly encryption: Agreement['encryption'] | undefined
}

export interface MseComponents {
  random: Random
  /** Closed with the returned stream. */
  stream: TcpStream
}

/** Begins the handshake as the side that dialled. A peer that breaks the protocol destroys the stream with an MseError. */
export function startMse(components: MseComponents, { swarm }: { swarm: InfoHash }): MseStream {
  return new EncryptedStream(components, (side, takeInitialPayload) => initiate(side, { swarm, takeInitialPayload }))
}

/**
 * Waits for the handshake as the side that was dialled; plain text is let through. `swarmOf` finds the swarm whose
 * `skeyDigest` it is given.
 */
export function acceptMse(
  components: MseComponents,
  options: { swarmOf(digest: string): InfoHash | undefined },
): MseStream {
  return new EncryptedStream(components, (side) => respond(side, options))
}

type SideOf = (components: SideComponents, takeInitialPayload: () => Uint8Array) => Side

const NOTHING: Buffer = Buffer.alloc(0)

class EncryptedStream extends Duplex implements MseStream {
  readonly #inner: TcpStream
  readonly #side: Side
  #want: Want = 0
  #held: Buffer = NOTHING
  #busy = false
  #agreement: Agreement | undefined
  /** A write that waits for the agreement. */
  #waiting: { bytes: Uint8Array; done: () => void } | undefined

  constructor({ random, stream }: MseComponents, sideOf: SideOf) {
    super()
    this.#inner = stream
    this.#side = sideOf({ random, send: (bytes) => stream.write(bytes) }, () => this.#takeInitialPayload())
    stream.on('data', (chunk: Buffer) => this.#onBytes(chunk))
    stream.on('end', () => this.push(null))
    stream.on('error', (error) => this.destroy(error))
    stream.on('close', () => this.destroy())
    this.#onBytes(NOTHING)
  }

  get bytesRead(): number {
    return this.#inner.bytesRead
  }

  get bytesWritten(): number {
    return this.#inner.bytesWritten
  }

  get encryption(): Agreement['encryption'] | undefined {
    return this.#agreement?.encryption
  }

  override _read(): void {
    this.#inner.resume()
  }

  override _write(bytes: Uint8Array, _encoding: string, done: () => void): void {
    if (this.#agreement === undefined) this.#waiting = { bytes, done }
    else this.#inner.write(this.#agreement.ciphers?.encrypt(bytes) ?? bytes, done)
  }

  override _final(done: () => void): void {
    this.#inner.end(done)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#inner.destroy()
    this.#waiting = undefined
    done(error)
  }

  #takeInitialPayload(): Uint8Array {
    const { bytes, done } = this.#waiting ?? { bytes: NOTHING, done() {} }
    if (bytes.length > limits.mseInitialPayloadBytes) return NOTHING
    this.#waiting = undefined
    done()
    return bytes
  }

  #onBytes(chunk: Buffer): void {
    if (this.destroyed) return
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    // In memory an answer can come while the question is still being written.
    if (this.#busy) return
    this.#busy = true
    try {
      while (this.#agreement === undefined) {
        const taken = this.#take(this.#want)
        if (taken === undefined) return
        this.#advance(taken)
      }
      while (this.#held.length > 0) {
        const bytes = this.#held
        this.#held = NOTHING
        this.#deliver(this.#agreement.ciphers?.decrypt(bytes) ?? bytes)
      }
    } catch (error) {
      this.destroy(error instanceof Error ? error : new MseError(messageOf(error)))
    } finally {
      this.#busy = false
    }
  }

  /** The next wanted bytes, once they are all there. */
  #take(want: Want): Uint8Array | undefined {
    let end = want as number
    if (typeof want !== 'number') {
      const most = limits.msePadBytes + want.length
      const at = this.#held.subarray(0, most).indexOf(want)
      if (at < 0 && this.#held.length >= most) throw new MseError('padding without end, or another secret')
      end = at < 0 ? Number.POSITIVE_INFINITY : at + want.length
    }
    if (this.#held.length < end) return undefined
    const taken = this.#held.subarray(0, end)
    this.#held = this.#held.subarray(end)
    return taken
  }

  #advance(bytes: Uint8Array): void {
    const step = this.#side.next(bytes)
    if (!step.done) {
      this.#want = step.value
      return
    }
    this.#agreement = step.value
    this.#deliver(step.value.first)
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting !== undefined) this._write(waiting.bytes, '', waiting.done)
  }

  #deliver(bytes: Uint8Array): void {
    if (bytes.length > 0 && !this.push(bytes)) this.#inner.pause()
  }
}
