/**
 * When a tracker may be asked again. The rules, and where they come from:
 * - While an announce of ours stands there, `interval` seconds pass between announces (BEP 3, BEP 15), or `min
 *   interval` if that is longer.
 * - After `stopped` the next announce is a `started`. BEP 15 ties the interval to announces without an event, and every
 *   client sends `started` when it is restarted: it may go out at once, so that the same lookup twice in a row is of
 *   use. A `min interval` binds it all the same: the tracker names it for those who come more often than they must.
 * - After a failure the tracker is left alone for limits.trackerBackoffS, doubled with each failure in a row, and for
 *   as long as its `retry in` (BEP 31) asks.
 */
import { type InfoHash, limits } from '@swarmatlas/core'
import type { AnnounceHistory } from './announce-history.ts'

/** Undefined when the tracker may be asked now, else why not, in words. */
export function whyNotYet(history: AnnounceHistory, url: string, swarm: InfoHash, nowMs: number): string | undefined {
  const { reply, failure } = history.pair(url, swarm)
  if (failure !== undefined) {
    const waitS = Math.max(backoffS(failure.failures), failure.retryInS ?? 0)
    const agoS = secondsSince(failure.atMs, nowMs)
    if (agoS >= 0 && agoS < waitS) {
      const why = failure.retryInS === waitS ? 'the tracker wants to be left alone for' : 'it is left alone for'
      return `failed ${agoS} s ago (${failure.failures} in a row), ${why} ${waitS} s`
    }
  }
  const standing = [...history.open()].filter((open) => open.url === url && open.swarm === swarm)
  const openedMs = Math.max(...standing.map((open) => open.atMs))
  let askedMs = openedMs
  // An announce whose reply was not waited for.
  let waitS = standing.length > 0 ? limits.trackerIntervalFloorS : 0
  if (reply !== undefined) {
    askedMs = Math.max(reply.atMs, openedMs)
    waitS = Math.max(standing.length > 0 ? reply.intervalS : 0, reply.minIntervalS ?? 0)
  }
  const agoS = secondsSince(askedMs, nowMs)
  // A time in the future was written by a clock that has been set since.
  if (!(agoS >= 0 && agoS < waitS)) return undefined
  return `asked ${agoS} s ago, the tracker wants ${waitS} s between announces; the peers of that reply are not kept here`
}

/** Limits what a tracker may name as an interval. */
export function boundedIntervalS(namedS: number | undefined): number {
  const seconds = namedS ?? limits.trackerIntervalS
  return Math.min(Math.max(seconds, limits.trackerIntervalFloorS), limits.trackerIntervalCeilingS)
}

function backoffS(failures: number): number {
  return Math.min(limits.trackerBackoffS * 2 ** (failures - 1), limits.trackerBackoffCeilingS)
}

function secondsSince(atMs: number, nowMs: number): number {
  return Math.floor((nowMs - atMs) / 1000)
}
