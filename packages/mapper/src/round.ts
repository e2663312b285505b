/** A round: one timed pass over a set of torrents. */
import { setMaxListeners } from 'node:events'
import { DeadlineError, deadline, type EndReason, limits, type SwarmatlasEvent, type Target } from '@swarmatlas/core'
import type { RoundWriter } from '@swarmatlas/peer-graph'
import type { RoundContext } from './context.ts'
import { createEventQueue } from './event-queue.ts'
import { Swarm } from './swarm.ts'
import { mapTorrent } from './torrent-round.ts'

export interface RoundOptions {
  /** Ends the round with what is known (Ctrl-C). */
  signal: AbortSignal
  /** The longest the round may take; undefined: until nothing new comes. */
  deadlineMs?: number | undefined
  store?: RoundWriter | undefined
}

export interface RoundResult {
  readonly number: number
  readonly startedMs: number
  readonly endedMs: number
  readonly reason: EndReason
  readonly swarms: readonly Swarm[]
}

export type RoundCollectors = Omit<RoundContext, 'emit' | 'store'>

/** Maps the targets and yields what happens; returns what is known at the end, also after an abort. */
export async function* runRound(
  collectors: RoundCollectors,
  targets: readonly Target[],
  { signal, deadlineMs, store }: RoundOptions,
): AsyncGenerator<SwarmatlasEvent, RoundResult> {
  const { clock } = collectors
  const startedMs = clock.now()
  const number = store?.number ?? 1
  const queue = createEventQueue<SwarmatlasEvent>({ capacity: limits.observationQueue })
  const context: RoundContext = { ...collectors, store, emit: (event) => queue.push(event) }
  const swarms = targets.map((target) => new Swarm(target, startedMs))
  using limit = deadline(clock, deadlineMs, signal)
  // All torrents and their sessions listen to it.
  setMaxListeners(0, limit.signal)

  async function mapOne(swarm: Swarm): Promise<void> {
    store?.torrent(swarm.record())
    await queue.push({ type: 'swarm-started', atMs: clock.now(), torrent: swarm.id, target: swarm.target.text })
    await mapTorrent(context, swarm, limit.signal)
    const peers = swarm.peers.size
    await queue.push({ type: 'swarm-ended', atMs: clock.now(), torrent: swarm.id, reason: endReason(), peers })
  }

  const endReason = (): EndReason => {
    if (!limit.signal.aborted) return 'nothing-new'
    return limit.signal.reason instanceof DeadlineError ? 'deadline' : 'interrupted'
  }

  async function mapAll(): Promise<EndReason> {
    try {
      await queue.push({ type: 'round-started', atMs: startedMs, round: number, swarms: swarms.length })
      await Promise.all(swarms.map(mapOne))
      const reason = endReason()
      await store?.seal({ atMs: clock.now(), reason })
      await queue.push({ type: 'round-ended', atMs: clock.now(), round: number, reason })
      return reason
    } finally {
      queue.end()
    }
  }

  const mapping = mapAll()
  // A failure is thrown below, after the events; it must not count as unhandled until then.
  mapping.catch(() => {})
  try {
    yield* queue.items()
  } finally {
    // A reader that left early ends the round.
    limit.abort()
  }
  const reason = await mapping
  return { number, startedMs, endedMs: clock.now(), reason, swarms }
}
