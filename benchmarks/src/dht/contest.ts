/** The contest that all DHT contenders enter: look up the swarms of a simulated DHT, so many at a time. */
import { createSocket } from 'node:dgram'
import { once, setMaxListeners } from 'node:events'
import { readFileSync } from 'node:fs'
import { type Endpoint, type Family, familyOf, parseEndpoint } from '@swarmatlas/core'
import type { Cost } from '../cost.ts'
import type { Figures, Work } from '../suite.ts'
import { allowLocalIpv6 } from './local-ipv6.ts'
import type { DhtsimCounters, DhtTruth } from './simulator.ts'

export type Depth = 'quick' | 'thorough'

/** What a contender is told. */
export interface Contest {
  readonly truthFile: string
  readonly family: Family
  readonly depth: Depth
  /** Lookups at one time. */
  readonly inFlight: number
  /** The end, also for lookups that are under way, ms after the first began. */
  readonly limitMs: number
}

/** The same with what a contender may know of the truth. */
export interface Task extends Contest {
  /** Live nodes. */
  readonly bootstrap: readonly Endpoint[]
  /** 40 hex digits each. */
  readonly hashes: readonly string[]
}

export interface Outcome {
  /** From the moment when the first DHT node is known to the end of the last lookup. */
  readonly cost: Cost
  /** Lookups that ended by themselves. */
  readonly completed: number
  /** Endpoints (`address:port`) by hash, of lookups that did not end too. */
  readonly found: ReadonlyMap<string, ReadonlySet<string>>
}

export type Contender = (task: Task) => Promise<Outcome>

export async function enter(contender: Contender, contest: Contest): Promise<Work> {
  if (contest.family === 6) allowLocalIpv6()
  const truth: DhtTruth = JSON.parse(readFileSync(contest.truthFile, 'utf8'))
  const nodes = (contest.family === 4 ? truth.bootstrap4 : truth.bootstrap6) ?? []
  const bootstrap = nodes.flatMap((text) => parseEndpoint(text) ?? [])
  const outcome = await contender({ ...contest, bootstrap, hashes: truth.swarms.map(({ hash }) => hash) })
  return { ...outcome.cost, figures: score(outcome, truth, contest.family) }
}

function score({ cost, completed, found }: Outcome, truth: DhtTruth, family: Family): Figures {
  const recalls: number[] = []
  let right = 0
  let wrong = 0
  for (const { hash, peers4, peers6 } of truth.swarms) {
    const stored = new Set(family === 4 ? peers4 : peers6)
    const named = found.get(hash) ?? new Set()
    const hits = [...named].filter((peer) => stored.has(peer)).length
    right += hits
    wrong += named.size - hits
    // A swarm whose holders are all dead cannot be found by anybody.
    if (stored.size > 0) recalls.push(hits / stored.size)
  }
  return {
    completed,
    'lookups/s': (completed / cost.timeMs) * 1000,
    recall: recalls.reduce((sum, recall) => sum + recall, 0) / recalls.length,
    'peers found': right,
    'false peers': wrong,
  }
}

/** What follows from the counters of the simulator. */
export function trafficFigures(counters: DhtsimCounters, { cpuMs, figures }: Work, lookups: number): Figures {
  const { queries, bans, toDead, bytesIn, bytesOut } = counters
  const found = figures['peers found'] ?? 0
  return {
    queries,
    'queries/lookup': queries / lookups,
    'to dead nodes': (toDead ?? 0) / queries,
    'CPU µs/query': (cpuMs * 1000) / queries,
    'queries/CPU s': queries / (cpuMs / 1000),
    ...(found > 0 ? { 'bytes/peer': (bytesIn + bytesOut) / found } : {}),
    bans,
  }
}

/** Lets the simulator count from here on. Call it when the DHT is joined and the lookups begin. */
export async function resetCounters({ bootstrap }: Pick<Task, 'bootstrap'>): Promise<void> {
  const [{ address, port }] = bootstrap as [Endpoint]
  const socket = createSocket(familyOf(address) === 4 ? 'udp4' : 'udp6')
  socket.send('RESET', port, address, () => socket.close())
  await once(socket, 'close')
}

/** Runs `lookup` for each hash, `inFlight` at a time, until `signal` aborts; returns how many ended by themselves. */
export async function inTurns(
  { hashes, inFlight }: Pick<Task, 'hashes' | 'inFlight'>,
  signal: AbortSignal,
  lookup: (hash: string) => Promise<void>,
): Promise<number> {
  // Each lookup listens to it.
  setMaxListeners(0, signal)
  const rest = hashes.values()
  let completed = 0
  async function work(): Promise<void> {
    for (const hash of rest) {
      if (signal.aborted) return
      await lookup(hash)
      if (!signal.aborted) completed++
    }
  }
  const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  await Promise.race([aborted, Promise.all(Array.from({ length: inFlight }, work))])
  return completed
}
