/** How long to wait for a reply, learnt from the round trips of this socket: the dead are many, and each holds a place. */
import { limits } from '@swarmatlas/core'

/** Nodes that have answered before, and those only heard of: they are as far apart as their networks. */
export type RemoteClass = 'known' | 'new'

export interface ReplyTimes {
  /** A query silent for so long gives its place up; between dhtTimeoutFloorMs and dhtQueryTimeoutMs. */
  slotMs(remote: RemoteClass): number
  /** A query silent for so long will hardly be answered; at least slotMs, at most dhtQueryTimeoutMs. */
  patienceMs(remote: RemoteClass): number
  /** Late replies belong in here, too: leaving them out would shorten the timeouts ever more. */
  observe(remote: RemoteClass, roundTripMs: number): void
}

/** Round trips between two reckonings: sorting is not free. The first comes sooner. */
const RECKON_EVERY = 32
const FIRST_RECKONING = 8

export function createReplyTimes(): ReplyTimes {
  const classes = { known: createQuantiles(), new: createQuantiles() }
  // Until a class has figures of its own, the other's are the better guess.
  const of = (remote: RemoteClass) => {
    const own = classes[remote]
    return own.learnt ? own : classes[remote === 'known' ? 'new' : 'known']
  }
  return {
    slotMs: (remote) => of(remote).slotMs,
    patienceMs: (remote) => of(remote).patienceMs,
    observe: (remote, roundTripMs) => classes[remote].observe(roundTripMs),
  }
}

function createQuantiles() {
  const roundTrips: number[] = []
  let observed = 0
  const quantiles = {
    learnt: false,
    slotMs: limits.dhtQueryTimeoutMs as number,
    patienceMs: limits.dhtQueryTimeoutMs as number,
    observe(roundTripMs: number): void {
      roundTrips[observed++ % limits.dhtRoundTrips] = roundTripMs
      if (observed !== FIRST_RECKONING && observed % RECKON_EVERY !== 0) return
      const sorted = Float64Array.from(roundTrips).sort()
      const quantile = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] as number
      quantiles.learnt = true
      quantiles.slotMs = bounded(quantile(0.9) * 1.25)
      quantiles.patienceMs = Math.max(quantiles.slotMs, bounded(quantile(0.98) * 1.1))
    },
  }
  return quantiles
}

function bounded(ms: number): number {
  return Math.min(Math.max(ms, limits.dhtTimeoutFloorMs), limits.dhtQueryTimeoutMs)
}
