/** A round: one timed pass over a set of torrents. */
import {
  DeadlineError,
  deadline,
  type EndReason,
  limits,
  orAbort,
  SwarmatlasError,
  type SwarmatlasEvent,
  type Target,
} from '@swarmatlas/core'
import type { BootstrapReport } from '@swarmatlas/dht-crawler'
import type { RoundWriter } from '@swarmatlas/peer-graph'
import type { DhtAccess, RoundContext } from './context.ts'
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

export interface RoundCollectors extends Omit<RoundContext, 'emit' | 'fail' | 'store'> {
  /** Aborts when the mapper closes, which ends all rounds. */
  readonly closing: AbortSignal
  /** The rounds under way; they never reject. */
  readonly running: Set<Promise<unknown>>
}

/**
 * Maps the targets and yields what happens; returns what is known at the end, also after an abort. A reader that leaves
 * early ends the round. Throws when the store cannot be written. However it ends, nothing of it runs any more; a
 * collector that does not stop is given up after limits.drainMs.
 */
export async function* runRound(
  collectors: RoundCollectors,
  targets: readonly Target[],
  { signal, deadlineMs, store }: RoundOptions,
): AsyncGenerator<SwarmatlasEvent, RoundResult> {
  const { clock, dht, closing, running } = collectors
  if (closing.aborted) throw new SwarmatlasError('ABORTED', 'the mapper is closed')
  const startedMs = clock.now()
  const number = store?.number ?? 1
  const queue = createEventQueue<SwarmatlasEvent>({ capacity: limits.observationQueue })
  const swarms = targets.map((target) => new Swarm(target, startedMs))
  using limit = deadline(clock, deadlineMs, signal)
  const stop = () => limit.abort()
  closing.addEventListener('abort', stop, { once: true })
  if (limit.signal.aborted) queue.release()
  else limit.signal.addEventListener('abort', () => queue.release(), { once: true })
  let failure: { error: unknown } | undefined

  const context: RoundContext = {
    ...collectors,
    store,
    emit: (event) => queue.push(event),
    fail(error) {
      failure ??= { error }
      limit.abort(error)
    },
    dht: dht && enterOnce(dht),
  }

  /** Enters the DHT and says what came of it, once a round. */
  function enterOnce({ crawler, enter }: DhtAccess): DhtAccess {
    let entered: Promise<BootstrapReport> | undefined
    const enterAndTell = async () => {
      const report = await orAbort(enter(), limit.signal)
      const { nodes, afterMs, problem } = report
      const atMs = clock.now()
      if (problem === undefined) await queue.push({ type: 'bootstrapped', atMs, nodes, afterMs })
      else
        await queue.push({ type: 'notice', atMs, code: 'no-dht', message: `the DHT could not be entered: ${problem}` })
      return report
    }
    return {
      crawler,
      enter() {
        entered ??= enterAndTell()
        return entered
      },
    }
  }

  async function mapOne(swarm: Swarm): Promise<void> {
    await queue.push({ type: 'swarm-started', atMs: clock.now(), torrent: swarm.id, target: swarm.target.text })
    await mapTorrent(context, swarm, limit.signal)
    const peers = swarm.peers.size
    await queue.push({ type: 'swarm-ended', atMs: clock.now(), torrent: swarm.id, reason: endReason(), peers })
  }

  const endReason = (): EndReason => {
    if (!limit.signal.aborted) return 'nothing-new'
    return limit.signal.reason instanceof DeadlineError ? 'deadline' : 'interrupted'
  }

  async function mapAll(): Promise<RoundResult> {
    try {
      await queue.push({ type: 'round-started', atMs: startedMs, round: number, swarms: swarms.length })
      await Promise.all(swarms.map(mapOne))
      if (failure !== undefined) throw failure.error
      const reason = endReason()
      const endedMs = clock.now()
      await store?.seal({ atMs: endedMs, reason })
      await queue.push({ type: 'round-ended', atMs: endedMs, round: number, reason })
      return { number, startedMs, endedMs, reason, swarms }
    } finally {
      queue.end()
    }
  }

  const mapping = mapAll()
  // A failure is thrown below, after the events; it must not count as unhandled until then.
  const settled = mapping.catch(() => {})
  running.add(settled)
  try {
    yield* queue.items()
  } finally {
    // A reader that left early ends the round.
    limit.abort()
    await settled
    running.delete(settled)
    closing.removeEventListener('abort', stop)
  }
  return await mapping
}
