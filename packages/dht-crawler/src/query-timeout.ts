/** How long to wait for a reply, learnt from the round trips of this socket: the dead are many, and each holds a slot. */
import { limits } from '@swarmatlas/core'

export interface QueryTimeout {
  /** Between limits.dhtTimeoutSlackMs and limits.dhtQueryTimeoutMs; the latter until there is something to learn from. */
  readonly ms: number
  /** Late replies belong in here, too: leaving them out would shorten the timeout ever more. True when `ms` changed. */
  observe(roundTripMs: number): boolean
}

/** Round trips between two reckonings: sorting is not free. */
const RECKON_EVERY = 16

export function createQueryTimeout(): QueryTimeout {
  const roundTrips: number[] = []
  let observed = 0
  let ms: number = limits.dhtQueryTimeoutMs
  return {
    get ms() {
      return ms
    },
    observe(roundTripMs) {
      roundTrips[observed++ % limits.dhtRoundTrips] = roundTripMs
      if (observed % RECKON_EVERY !== 0) return false
      const sorted = roundTrips.toSorted((a, b) => a - b)
      const p95 = sorted[Math.floor(sorted.length * 0.95)] as number
      ms = Math.min(p95 + limits.dhtTimeoutSlackMs, limits.dhtQueryTimeoutMs)
      return true
    },
  }
}
