/** The retransmission timeout (BEP 29, "timeouts"; RFC 6298 with other constants). Milliseconds. */
import { limits } from '@swarmatlas/core'

export interface RoundTrip {
  /** What an unacknowledged packet gets. */
  readonly timeoutMs: number
  /** The smoothed round trip; 0 before the first. */
  readonly smoothMs: number
  /** The round trip of a packet that was sent once (Karn: of another one nobody knows which copy was acknowledged). */
  observe(ms: number): void
  /** A timeout passed: the next is twice as long. */
  timedOut(): void
  /** Something was acknowledged: back to the measured timeout. */
  progressed(): void
}

export function createRoundTrip(): RoundTrip {
  let smoothMs = 0
  let deviationMs = 0
  let measuredMs: number = limits.utpRetransmitMs
  let doublings = 0
  return {
    get timeoutMs() {
      return Math.min(measuredMs * 2 ** doublings, limits.utpRetransmitCeilingMs)
    },
    get smoothMs() {
      return smoothMs
    },
    observe(ms) {
      if (smoothMs === 0) {
        smoothMs = ms
        deviationMs = ms / 2
      } else {
        deviationMs += (Math.abs(smoothMs - ms) - deviationMs) / 4
        smoothMs += (ms - smoothMs) / 8
      }
      measuredMs = Math.max(smoothMs + 4 * deviationMs, limits.utpRetransmitFloorMs)
    },
    timedOut() {
      doublings++
    },
    progressed() {
      doublings = 0
    },
  }
}
