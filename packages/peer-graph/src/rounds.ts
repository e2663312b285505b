/** Rounds: when, from where, by which command; and what they hold. */
import type { EndReason } from '@swarmatlas/core'
import { fromJson, toJson } from './json-row.ts'
import type { LevelStore } from './level-store.ts'
import { peerFolds } from './peers.ts'
import { keys, lastNumber, ranges } from './schema.ts'
import { scopesOf, type View } from './scope.ts'
import type { RoundSummary } from './types.ts'

/** The JSON of a round row. */
type RoundRow = Pick<RoundSummary, 'startedMs' | 'endedMs' | 'reason' | 'vantage' | 'command'>
type RoundCounts = Pick<RoundSummary, 'swarms' | 'peers' | 'observations'>

/** Rounds are counted from 1. One caller at a time. */
export async function beginRound(
  store: LevelStore,
  { atMs, vantage, command }: { atMs: number; vantage: string; command: string },
): Promise<number> {
  const last = await store.lastKey(ranges.rounds)
  const number = last === undefined ? 1 : lastNumber(last) + 1
  const row: RoundRow = { startedMs: atMs, endedMs: null, reason: null, vantage, command }
  await store.write([[keys.round(number), toJson(row)]])
  return number
}

/** Writes the round's end and, derived, its counts. */
export async function endRound(
  view: View,
  round: number,
  { atMs, reason }: { atMs: number; reason: EndReason },
): Promise<void> {
  const begun = await view.store.get(keys.round(round))
  const row: RoundRow = { ...fromJson<RoundRow>(begun as Buffer, 'a round'), endedMs: atMs, reason }
  await view.store.write([
    [keys.round(round), toJson(row)],
    [keys.roundCounts(round), toJson(await countRound(view, round))],
  ])
}

export async function* roundSummaries(view: View): AsyncGenerator<RoundSummary> {
  const { store, snapshot } = view
  for await (const rows of store.rows(ranges.rounds, { snapshot })) {
    for (const [key, value] of rows) {
      const number = lastNumber(key)
      const counts = await store.get(keys.roundCounts(number), snapshot)
      // Open, or cut short by a crash: counted now.
      yield {
        number,
        ...fromJson<RoundRow>(value, 'a round'),
        ...(counts ? fromJson<RoundCounts>(counts, 'a round') : await countRound(view, number)),
      }
    }
  }
}

async function countRound(view: View, round: number): Promise<RoundCounts> {
  let [swarms, peers, observations] = [0, 0, 0]
  for await (const { scope } of scopesOf(view, { round })) {
    swarms++
    for await (const folds of peerFolds(view, scope)) {
      peers += folds.length
      for (const fold of folds) observations += fold.observations
    }
  }
  return { swarms, peers, observations }
}
