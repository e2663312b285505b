/** The feeds of one torrent: what names peers to it. Each runs until it has nothing more to say. */
import {
  DeadlineError,
  deadline,
  type InfoHash,
  type LookupSummary,
  limits,
  type Observation,
  orAbort,
  redactUrl,
  sleep,
  type TrackerReport,
} from '@swarmatlas/core'
import type { InboundSession, Listener } from '@swarmatlas/pex-harvester'
import type { RoundContext } from './context.ts'
import { readAll } from './read-all.ts'
import type { Swarm } from './swarm.ts'

export interface FeedTarget {
  readonly swarm: Swarm
  /** Passes over the DHT that were begun. */
  lookups: number
  observe(observation: Observation): Promise<void>
  notice(code: string, message: string): Promise<void>
}

/** Asks the DHT for one wire hash, pass after pass, until a pass is not worth its packets any more. */
export async function feedFromDht(
  context: RoundContext,
  target: FeedTarget,
  hash: InfoHash,
  signal: AbortSignal,
): Promise<void> {
  const { dht, clock } = context
  if (dht === undefined) return
  const report = await orAbort(dht.enter(), signal)
  if (report.nodes === 0) return
  for (let pass = 1; ; pass++) {
    const knownBefore = target.swarm.peers.size
    const summary = await context.lookups.use(() => onePass(context, target, hash, signal), signal)
    const { swarm } = target
    await context.emit({ type: 'lookup', atMs: clock.now(), torrent: swarm.id, swarm: hash, ...summary })
    const gained = swarm.peers.size - knownBefore
    const pauseMs = pauseAfter(context, swarm, pass, gained)
    if (pauseMs === undefined) return
    await sleep(clock, pauseMs, signal)
  }
}

async function onePass(
  { dht, clock, settings: { depth } }: RoundContext,
  target: FeedTarget,
  hash: InfoHash,
  signal: AbortSignal,
): Promise<LookupSummary> {
  target.lookups++
  using limit = deadline(clock, depth === 'thorough' ? limits.lookupThoroughMs : limits.lookupMs, signal)
  const lookup = (dht as NonNullable<typeof dht>).crawler.getPeers(hash, { signal: limit.signal, depth })
  return await readAll(lookup, (observation) => target.observe(observation))
}

/** Milliseconds until the next pass; undefined when there is to be none. */
function pauseAfter(
  { settings, harvester }: RoundContext,
  swarm: Swarm,
  pass: number,
  gained: number,
): number | undefined {
  if (settings.depth === 'quick') {
    const wantsMetadata = harvester !== undefined && swarm.metadata === undefined
    const unanswered = swarm.peers.size === 0 || wantsMetadata
    if (pass >= (unanswered ? limits.quickPassesUnanswered : limits.quickPasses)) return undefined
    if (!unanswered && gained === 0) return undefined
    return unanswered ? limits.quickPauseMs : 0
  }
  if (pass >= limits.thoroughPassesMax) return undefined
  const worthIt = gained > limits.thoroughKnee * swarm.peers.size
  return worthIt || pass < limits.thoroughPassesMin ? limits.thoroughPauseMs : undefined
}

/** One announce (or scrape) of one tracker for one wire hash. */
export async function feedFromTracker(
  context: RoundContext,
  target: FeedTarget,
  url: string,
  hash: InfoHash,
  signal: AbortSignal,
): Promise<void> {
  const { trackers, clock, settings } = context
  if (trackers === undefined) return
  const { swarm } = target
  await context.announces.use(async () => {
    // BEP 15 would wait 45 s for a dead tracker: nobody who waits for an answer does.
    using patience = deadline(clock, settings.depth === 'quick' ? limits.trackerPatienceMs : undefined, signal)
    try {
      await ask(patience.signal)
    } catch (error) {
      if (!(error instanceof DeadlineError) || signal.aborted) throw error
      const detail = `no answer within ${limits.trackerPatienceMs / 1000} s`
      await record({ url: redactUrl(url), outcome: 'timeout', detail, peers: 0 })
    }
  }, signal)

  async function ask(patience: AbortSignal): Promise<void> {
    if (trackers === undefined) return
    if (settings.announce) {
      const left = swarm.metadata?.info.totalBytes || limits.unknownLeftBytes
      const { report, observations } = await trackers.announce(url, hash, { left, signal: patience })
      for (const observation of observations) await target.observe(observation)
      await record(report)
    } else {
      const report = (await trackers.scrape(url, [hash], { signal: patience })).get(hash)
      if (report !== undefined) await record(report)
    }
  }

  async function record(report: TrackerReport): Promise<void> {
    swarm.trackers.push(report)
    context.store?.tracker(swarm.id, report)
    await context.emit({ type: 'tracker', atMs: clock.now(), torrent: swarm.id, ...report })
  }
}

export interface Calls {
  readonly hash: InfoHash
  readonly answer: (caller: InboundSession) => void
  /** When somebody new called last, monotonic. */
  readonly lastMs: () => number
}

/** Answers the peers that call for one wire hash, until nobody new has called for a while. */
export async function feedFromCallers(
  { clock, settings }: RoundContext,
  listener: Listener,
  { hash, answer, lastMs }: Calls,
  signal: AbortSignal,
): Promise<void> {
  const { quietMs = limits.inboundQuietMs } = settings.listen ?? {}
  const untilMs = clock.monotonic() + Math.max(limits.inboundListenMs, quietMs)
  const stop = listener.serve(hash, answer)
  try {
    for (;;) {
      const restMs = Math.min(lastMs() + quietMs, untilMs) - clock.monotonic()
      if (restMs <= 0) return
      await sleep(clock, restMs, signal)
    }
  } finally {
    stop()
  }
}
