/** The receiving half of a uTP connection: puts packets in order, within the window that we advertise. */
import { limits, type Meter } from '@swarmatlas/core'
import { plus, stepsTo } from './sequence.ts'

export interface Inbox {
  /** The last packet up to which all came. */
  readonly ack: number
  /** What may still come, bytes: the window less what nobody has read and what waits for a gap to close. */
  readonly windowBytes: number
  /** The peer's FIN and all before it came. */
  readonly ended: boolean
  /** Takes a DATA or FIN packet; hands on, in order, what has become complete. */
  take(seq: number, payload: Uint8Array, fin: boolean): void
  /** A selective ACK for what waits for a gap to close; undefined when nothing does. */
  sack(): Uint8Array | undefined
}

interface InboxHandlers {
  data(bytes: Uint8Array): void
  end(): void
  /** Bytes handed on that nobody has read. */
  unread(): number
}

export function createInbox(
  { meter, handlers }: { meter: Meter; handlers: InboxHandlers },
  { lastSeq }: { lastSeq: number },
): Inbox {
  let ack = lastSeq
  let endSeq: number | undefined
  let ended = false
  /** Came early, by sequence number. */
  const early = new Map<number, Uint8Array>()
  let earlyBytes = 0

  const windowBytes = () => Math.max(limits.utpReceiveWindowBytes - handlers.unread() - earlyBytes, 0)

  function advance(payload: Uint8Array): void {
    ack = plus(ack, 1)
    if (payload.length > 0) handlers.data(payload)
    if (ack !== endSeq) return
    ended = true
    early.clear()
    earlyBytes = 0
    handlers.end()
  }

  return {
    get ack() {
      return ack
    },
    get windowBytes() {
      return windowBytes()
    },
    get ended() {
      return ended
    },
    take(seq, payload, fin) {
      const ahead = stepsTo(ack, seq)
      if (ended || ahead <= 0) {
        meter.count('utp.duplicate')
        return
      }
      const pastEnd = endSeq !== undefined && stepsTo(endSeq, seq) > 0
      // What closes a gap was sent before what came early, which must not keep it out.
      const room = ahead === 1 ? limits.utpReceiveWindowBytes - handlers.unread() : windowBytes()
      if (pastEnd || ahead > limits.utpReorderPackets || payload.length > room) {
        meter.count('utp.dropped.outside-window')
        return
      }
      if (fin) endSeq ??= seq
      if (ahead > 1) {
        if (early.has(seq)) {
          meter.count('utp.duplicate')
          return
        }
        early.set(seq, payload)
        earlyBytes += payload.length
        return
      }
      advance(payload)
      for (let next = early.get(plus(ack, 1)); next !== undefined; next = early.get(plus(ack, 1))) {
        early.delete(plus(ack, 1))
        earlyBytes -= next.length
        advance(next)
      }
    },
    sack() {
      if (early.size === 0) return undefined
      const bits = [...early.keys()].map((seq) => stepsTo(ack, seq) - 2)
      const bytes = new Uint8Array(4 * Math.ceil((Math.max(...bits) + 1) / 32))
      for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] as number) | (1 << (bit & 7))
      return bytes
    },
  }
}
