/**
 * The two ends of a simulated TCP connection. Bytes arrive in order after the pair's delay, cut into segments, as many
 * as the window holds; a machine that is dead by then simply says nothing. Closing works as in Node: `end` sends FIN
 * and the other end follows; `destroy` sends FIN, or RST when bytes were left unread; bytes for a destroyed end are
 * answered with RST, which shows as ECONNRESET.
 */
import { Duplex } from 'node:stream'
import { type SimLink, systemError } from './sim-link.ts'

/** Bytes on the way or unread at the other end before a writer has to wait. */
const WINDOW_BYTES = 65_536

/** Bytes that an end takes in before anybody asks for them. */
const BUFFER_BYTES = 16_384

export type SimStream = Duplex & { readonly bytesRead: number; readonly bytesWritten: number }

export function streamPair(link: SimLink, dialling: string, accepting: string): [SimStream, SimStream] {
  const dialled = new Stream(link, dialling)
  const accepted = new Stream(link, accepting)
  dialled.join(accepted)
  accepted.join(dialled)
  return [dialled, accepted]
}

type Done = (error?: Error | null) => void

class Stream extends Duplex {
  bytesRead = 0
  bytesWritten = 0
  readonly address: string
  readonly #link: SimLink
  #peer!: Stream
  /** Arrived, not yet asked for; null is the end. */
  readonly #inbox: (Uint8Array | null)[] = []
  // As a net.Socket, which reads before anybody asks and so notices the end.
  #wanted = true
  #unread = 0
  #waiting: Done | undefined
  #finSent = false

  constructor(link: SimLink, address: string) {
    // Node's default changed between its lines; a simulation must not.
    super({ allowHalfOpen: false, highWaterMark: BUFFER_BYTES })
    this.#link = link
    this.address = address
  }

  join(peer: Stream): void {
    this.#peer = peer
  }

  override _write(chunk: Uint8Array, _encoding: string, done: Done): void {
    this.bytesWritten += chunk.length
    const { segmentBytes } = this.#link
    for (let start = 0; start < chunk.length; start += segmentBytes) {
      const segment = Buffer.from(chunk.subarray(start, start + segmentBytes))
      this.#unread += segment.length
      this.#link.countBytes(this.#peer.address, segment.length)
      this.#send(() => this.#peer.#arrive(segment))
    }
    if (this.#unread < WINDOW_BYTES) done()
    else this.#waiting = done
  }

  override _final(done: Done): void {
    this.#fin()
    done()
  }

  override _read(): void {
    this.#wanted = true
    this.#deliver()
  }

  override _destroy(error: Error | null, done: Done): void {
    if (this.#inbox.some((item) => item !== null)) this.#send(() => this.#peer.#reset())
    else this.#fin()
    done(error)
  }

  #fin(): void {
    if (this.#finSent) return
    this.#finSent = true
    this.#send(() => this.#peer.#arrive(null))
  }

  #send(arrive: () => void): void {
    this.#link.carry(this.address, this.#peer.address, arrive)
  }

  #arrive(item: Uint8Array | null): void {
    if (this.destroyed) {
      if (item !== null) this.#send(() => this.#peer.#reset())
      return
    }
    this.#inbox.push(item)
    this.#deliver()
  }

  #deliver(): void {
    while (this.#wanted && this.#inbox.length > 0) {
      const item = this.#inbox.shift() as Uint8Array | null
      if (item !== null) {
        this.bytesRead += item.length
        this.#peer.#acknowledge(item.length)
      }
      this.#wanted = this.push(item)
      // Lets 'end' out also where nobody reads.
      if (item === null) this.read(0)
    }
  }

  #acknowledge(bytes: number): void {
    this.#unread -= bytes
    if (this.#waiting === undefined || this.#unread >= WINDOW_BYTES) return
    const done = this.#waiting
    this.#waiting = undefined
    done()
  }

  #reset(): void {
    this.destroy(systemError('ECONNRESET', 'the other end closed'))
  }
}
