/** Rounds: when, from where, by which command; whether they are sealed, and what they hold. */
import type { EndReason } from '@swarmatlas/core'
import { fromJson, toJson } from './json-row.ts'
import type { LevelStore, Snapshot } from './level-store.ts'
import { keys, lastNumber, ranges } from './schema.ts'
import type { RoundSummary } from './types.ts'

/** The JSON of a round row. */
export interface RoundRow extends Pick<RoundSummary, 'startedMs' | 'endedMs' | 'reason' | 'vantage' | 'command'> {
  /** The directory of the sealed week, from the beginning of sealing on. */
  readonly week?: string
  /** The study key's id at sealing. */
  readonly key?: string
  /** Sums over wire hashes. Its being there means that the round is sealed. */
  readonly counts?: RoundCounts
}

export interface RoundCounts {
  readonly wires: number
  readonly peers: number
  readonly observations: number
}

/** The JSON of a holding row: what must be there of a wire hash in a sealed round. */
export interface Holding {
  readonly facts: number
  readonly visits: number
  /** By channel code. */
  readonly blocks: readonly number[]
  readonly visitBlocks: number
}

const lastRoundKey: Buffer = keys.meta('last round')

/** Rounds are counted from 1; the numbers of pruned ones are not given again. One caller at a time. */
export async function beginRound(
  store: LevelStore,
  { atMs, vantage, command }: { atMs: number; vantage: string; command: string },
): Promise<number> {
  const last = await store.get(lastRoundKey)
  const number = last === undefined ? 1 : fromJson<number>(last, 'a counter') + 1
  const row: RoundRow = { startedMs: atMs, endedMs: null, reason: null, vantage, command }
  await store.write([
    [keys.round(number), toJson(row)],
    [lastRoundKey, toJson(number)],
  ])
  return number
}

export async function endRound(
  store: LevelStore,
  round: number,
  { atMs, reason }: { atMs: number; reason: EndReason },
): Promise<void> {
  const row = await readRound(store, round)
  if (row !== undefined) await store.write([[keys.round(round), toJson({ ...row, endedMs: atMs, reason })]])
}

export async function readRound(store: LevelStore, round: number, snapshot?: Snapshot): Promise<RoundRow | undefined> {
  const value = await store.get(keys.round(round), snapshot)
  return value && fromJson<RoundRow>(value, 'a round')
}

export async function* allRounds(store: LevelStore, snapshot?: Snapshot): AsyncGenerator<[number, RoundRow]> {
  for await (const rows of store.rows(ranges.rounds, { snapshot })) {
    for (const [key, value] of rows) yield [lastNumber(key), fromJson<RoundRow>(value, 'a round')]
  }
}

/** What a sealed round holds, by wire number. */
export async function holdingsOf(store: LevelStore, round: number): Promise<Map<number, Holding>> {
  const holdings = new Map<number, Holding>()
  for await (const rows of store.rows(ranges.holdings(round))) {
    for (const [key, value] of rows) holdings.set(lastNumber(key), fromJson<Holding>(value, 'a round'))
  }
  return holdings
}
