/**
 * The frame guard cuts a peer's bytes into handshake and messages (BEP 3) before anything else sees them. A declared
 * length is judged before a byte of its message is kept: bittorrent-protocol has no cap of its own and joins the parts
 * of a message anew with every chunk.
 */
import { limits } from '@swarmatlas/core'

export type Frame =
  | { readonly kind: 'handshake'; readonly bytes: Uint8Array }
  /** `bytes`: the id and the payload, without the length prefix; at least one byte. */
  | { readonly kind: 'message'; readonly bytes: Uint8Array }

export interface FrameGuard {
  /**
   * The frames that `chunk` completes. After `problem` is set there are none. Stop reading at any time, but never read
   * two chunks at once.
   */
  read(chunk: Uint8Array): Generator<Frame, void>
  /** What the peer did that ends its session. */
  readonly problem: string | undefined
  /** Bytes of the frame that is not yet complete. */
  readonly heldBytes: number
}

const PROTOCOL = Buffer.from('\x13BitTorrent protocol', 'latin1')
const HANDSHAKE_BYTES = 68
const FIRST_BUFFER_BYTES = 1_024
export const EXTENDED = 20

export function createFrameGuard(): FrameGuard {
  return new Guard()
}

class Guard implements FrameGuard {
  problem: string | undefined
  #kind: Frame['kind'] = 'handshake'
  /** Bytes of the frame under way; undefined while its length prefix is being read. */
  #wanted: number | undefined = HANDSHAKE_BYTES
  #length = 0
  #lengthBytes = 0
  #buffer: Uint8Array = new Uint8Array(0)
  #filled = 0
  #bytes = 0
  #messages = 0
  #extended = false

  get heldBytes(): number {
    return this.#filled
  }

  *read(chunk: Uint8Array): Generator<Frame, void> {
    this.#bytes += chunk.length
    if (this.#bytes > limits.sessionBytes) this.problem ??= `more than ${limits.sessionBytes} bytes`
    let offset = 0
    while (offset < chunk.length && this.problem === undefined) {
      if (this.#wanted === undefined) {
        this.#readLength(chunk[offset++] as number)
        continue
      }
      const part = chunk.subarray(offset, offset + this.#wanted - this.#filled)
      offset += part.length
      const bytes = this.#complete(part, this.#wanted)
      if (this.#kind === 'handshake') this.#checkProtocol(bytes ?? this.#buffer.subarray(0, this.#filled))
      if (bytes === undefined || this.problem !== undefined) continue
      const kind = this.#kind
      this.#kind = 'message'
      this.#wanted = undefined
      if (kind === 'message' && bytes[0] === EXTENDED && bytes[1] === 0) this.#extended = true
      yield { kind, bytes }
    }
  }

  #readLength(byte: number): void {
    // Not a shift: 32 bits of length would turn negative.
    this.#length = this.#length * 256 + byte
    if (++this.#lengthBytes < 4) return
    const length = this.#length
    this.#length = 0
    this.#lengthBytes = 0
    const cap = this.#extended ? limits.messageBytes : limits.messageBytesBeforeExtension
    if (++this.#messages > limits.sessionMessages) this.problem = `more than ${limits.sessionMessages} messages`
    else if (length > cap) this.problem = `a message of ${length} bytes`
    else if (length > 0) this.#wanted = length
  }

  /** The frame when `part` completes it. Handed out bytes are never written to again. */
  #complete(part: Uint8Array, wanted: number): Uint8Array | undefined {
    if (part.length === wanted) return part
    const end = this.#filled + part.length
    if (end > this.#buffer.length) {
      const grown = new Uint8Array(Math.min(wanted, Math.max(end, 2 * this.#buffer.length, FIRST_BUFFER_BYTES)))
      grown.set(this.#buffer.subarray(0, this.#filled))
      this.#buffer = grown
    }
    this.#buffer.set(part, this.#filled)
    this.#filled = end
    if (end < wanted) return undefined
    const bytes = this.#buffer.subarray(0, wanted)
    this.#buffer = new Uint8Array(0)
    this.#filled = 0
    return bytes
  }

  #checkProtocol(start: Uint8Array): void {
    const compared = Math.min(start.length, PROTOCOL.length)
    if (PROTOCOL.compare(start, 0, compared, 0, compared) !== 0) this.problem = 'not the BitTorrent protocol'
  }
}
