/**
 * What is derived from a sealed round and stored: counts of each wire hash in it, and which rounds hold which peer. All of
 * it is the same in whatever order rounds are taken and however often, so that sealing and rebuilding may start over.
 */
import { type Evidence, evidenceLevels, limits } from '@swarmatlas/core'
import { ByteReader, ByteWriter } from './bytes.ts'
import type { Facts } from './facts.ts'
import { fromJson, toJson } from './json-row.ts'
import type { LevelStore, Snapshot, Write } from './level-store.ts'
import { countRole, type PeerFold, peerFolds } from './peer-fold.ts'
import { keys } from './schema.ts'
import type { Scope } from './scope.ts'
import { currentView } from './view.ts'

/** The JSON of a wireRound row. */
export interface WireRoundRow {
  readonly peers: number
  readonly byEvidence: Readonly<Record<Evidence, number>>
  readonly seeds: number
  readonly leeches: number
  readonly visited: number
  readonly observations: number
}

/** The JSON of a wireStats row. */
export interface WireStats {
  /** Distinct ones. */
  readonly peers: number
  /** Null while nobody was seen. */
  readonly firstMs: number | null
  readonly lastMs: number | null
}

/** In which rounds a peer was met under a wire hash, and when it was seen. */
export interface Seen {
  readonly firstRound: number
  readonly lastRound: number
  /** 0: visited in vain and named by nobody. */
  readonly firstMs: number
  readonly lastMs: number
}

export function noPeers(): { peers: number; byEvidence: Record<Evidence, number>; seeds: number; leeches: number } {
  const byEvidence = Object.fromEntries(evidenceLevels.map((level) => [level, 0])) as Record<Evidence, number>
  return { peers: 0, byEvidence, seeds: 0, leeches: 0 }
}

export function countPeer(counts: ReturnType<typeof noPeers>, fold: PeerFold): void {
  counts.peers++
  counts.byEvidence[fold.evidence]++
  countRole(counts, fold.lastAnswer?.role)
}

/** Writes where the peers of a wire hash in a sealed round were seen; returns its counts. */
export async function deriveWire(facts: Facts, scope: Scope): Promise<WireRoundRow> {
  const { round, wire } = scope
  const counts = { ...noPeers(), visited: 0, observations: 0 }
  let waiting: PeerFold[] = []
  const write = async () => {
    await writeSeen(facts.store, wire, round, waiting)
    waiting = []
  }
  for await (const folds of peerFolds(currentView(facts), [scope])) {
    for (const fold of folds) {
      countPeer(counts, fold)
      counts.observations += fold.observations
      if (fold.visits.length > 0) counts.visited++
    }
    waiting.push(...folds)
    if (waiting.length >= limits.storeDerivedRows) await write()
  }
  await write()
  return counts
}

async function writeSeen(store: LevelStore, wire: number, round: number, folds: readonly PeerFold[]): Promise<void> {
  const stored = await store.getMany([keys.wireStats(wire), ...folds.map(({ peer }) => keys.seen(wire, peer))])
  const stats = stored[0] === undefined ? undefined : fromJson<WireStats>(stored[0], 'counts')
  let [peers, firstMs, lastMs] = [stats?.peers ?? 0, stats?.firstMs ?? null, stats?.lastMs ?? null]
  const writes: Write[] = []
  folds.forEach((fold, i) => {
    const old = stored[i + 1]
    if (old === undefined) peers++
    const seen = merged(old && decodeSeen(old), fold, round)
    if (seen.firstMs !== 0) {
      firstMs = Math.min(firstMs ?? seen.firstMs, seen.firstMs)
      lastMs = Math.max(lastMs ?? seen.lastMs, seen.lastMs)
    }
    const value = encodeSeen(seen)
    if (old === undefined || !old.equals(value)) writes.push([keys.seen(wire, fold.peer), value])
  })
  const now: WireStats = { peers, firstMs, lastMs }
  await store.write([...writes, [keys.wireStats(wire), toJson(now)]])
}

function merged(old: Seen | undefined, { firstMs, lastMs }: PeerFold, round: number): Seen {
  const seen = Number.isFinite(firstMs)
  return {
    firstRound: Math.min(old?.firstRound ?? round, round),
    lastRound: Math.max(old?.lastRound ?? round, round),
    firstMs: seen ? Math.min(old?.firstMs || firstMs, firstMs) : (old?.firstMs ?? 0),
    lastMs: seen ? Math.max(old?.lastMs ?? 0, lastMs) : (old?.lastMs ?? 0),
  }
}

function encodeSeen({ firstRound, lastRound, firstMs, lastMs }: Seen): Buffer {
  return new ByteWriter()
    .varint(firstRound)
    .varint(lastRound - firstRound)
    .time(firstMs)
    .varint(lastMs - firstMs)
    .finish()
}

export function decodeSeen(bytes: Buffer): Seen {
  const reader = new ByteReader(bytes, 'an index row')
  const firstRound = reader.varint()
  const lastRound = firstRound + reader.varint()
  const firstMs = reader.time()
  return { firstRound, lastRound, firstMs, lastMs: firstMs + reader.varint() }
}

export async function wireStats(store: LevelStore, wire: number, snapshot?: Snapshot): Promise<WireStats> {
  const value = await store.get(keys.wireStats(wire), snapshot)
  return value === undefined ? { peers: 0, firstMs: null, lastMs: null } : fromJson<WireStats>(value, 'counts')
}
