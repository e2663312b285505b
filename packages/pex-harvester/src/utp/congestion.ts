/**
 * LEDBAT (RFC 6817, BEP 29): how many bytes may be under way. The window grows while the queueing delay that the other
 * side measures stays below the target, shrinks above it, and halves on loss. The least delay of the connection is taken
 * for the bare path: without LEDBAT's history of minutes, since a session ends after a minute and a half, in which
 * clocks drift by less than a tenth of the target.
 */
import { limits } from '@swarmatlas/core'

export interface CongestionWindow {
  /** At least one full packet. */
  readonly bytes: number
  /**
   * `delayUs`: the other side's clock minus ours when it got our last packet, modulo 2^32 (an unknown offset plus the
   * delay), or 0 when it has not measured yet. `full`: the window, not the writer, limited us.
   */
  acknowledged(bytes: number, options: { delayUs: number; full: boolean }): void
  /** At most one halving in a round trip. */
  lost(nowMs: number, roundTripMs: number): void
  timedOut(): void
}

export function createCongestionWindow(packetBytes: number): CongestionWindow {
  let window = limits.utpInitialPackets * packetBytes
  let slowStartBelow: number = limits.utpSendWindowBytes
  let leastDelayUs: number | undefined
  let halvedAtMs = Number.NEGATIVE_INFINITY

  const set = (bytes: number) => {
    window = Math.max(packetBytes, Math.min(bytes, limits.utpSendWindowBytes))
  }

  /** The offset between the clocks cancels out; the difference is taken modulo 2^32, as timestamps wrap after 71 minutes. */
  function queueingUs(delayUs: number): number {
    if (delayUs === 0) return 0
    if (leastDelayUs === undefined || ((delayUs - leastDelayUs) | 0) < 0) leastDelayUs = delayUs
    return (delayUs - leastDelayUs) >>> 0
  }

  return {
    get bytes() {
      return Math.floor(window)
    },
    acknowledged(bytes, { delayUs, full }) {
      const target = limits.utpTargetDelayUs
      const queueing = queueingUs(delayUs)
      if (window < slowStartBelow && queueing < target / 2) {
        if (full) set(window + bytes)
        return
      }
      slowStartBelow = Math.min(slowStartBelow, window)
      const offTarget = Math.max((target - queueing) / target, -1)
      if (full || offTarget < 0) set(window + (offTarget * bytes * packetBytes) / window)
    },
    lost(nowMs, roundTripMs) {
      if (nowMs - halvedAtMs < roundTripMs) return
      halvedAtMs = nowMs
      set(window / 2)
      slowStartBelow = window
    },
    timedOut() {
      slowStartBelow = Math.max(window / 2, 2 * packetBytes)
      set(packetBytes)
    },
  }
}
