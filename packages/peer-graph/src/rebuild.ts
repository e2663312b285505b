/** Computing anew what is derived from sealed rounds. It comes out the same, byte for byte, unless the old was damaged. */
import { deriveWire } from './derive.ts'
import type { Facts } from './facts.ts'
import { type PlaceOf, sealIdentities } from './identities.ts'
import { toJson } from './json-row.ts'
import { numbersIn } from './prune.ts'
import { allRounds, holdingsOf, type RoundCounts, type RoundRow } from './rounds.ts'
import { keys, lastNumber, ranges, type WireRoundKey } from './schema.ts'
import { sealedScope } from './scope.ts'
import type { RebuildReport } from './types.ts'
import { currentView } from './view.ts'

/** Set while the derived rows are not whole: the next opening starts over. */
export const rebuildingKey: Buffer = keys.meta('rebuilding')

export async function rebuild(facts: Facts, { placeOf }: { placeOf?: PlaceOf | undefined }): Promise<RebuildReport> {
  const { store } = facts
  await store.write([[rebuildingKey, toJson(true)]], { sync: true })
  const rounds = new Map<number, RoundRow>()
  const counts = new Map<number, RoundCounts>()
  const heldBy = new Map<number, number[]>()
  const weeks = new Map<string, WireRoundKey[]>()
  for await (const [round, row] of allRounds(store)) {
    if (row.counts === undefined || row.week === undefined) continue
    rounds.set(round, row)
    counts.set(round, { wires: 0, peers: 0, observations: 0 })
    for (const wire of (await holdingsOf(store, round)).keys()) {
      heldBy.set(wire, [...(heldBy.get(wire) ?? []), round])
      weeks.set(row.week, [...(weeks.get(row.week) ?? []), { round, wire }])
    }
  }
  const view = currentView(facts)
  // Wire by wire: a question asked meanwhile misses those of one swarm at most.
  for await (const rows of store.rows(ranges.wireNames)) {
    for (const wire of rows.map(([key]) => lastNumber(key))) {
      await store.clear(ranges.seen(wire))
      await store.write([[keys.wireStats(wire), null]])
      await store.clear(ranges.roundsOf(wire))
      for (const round of heldBy.get(wire) ?? []) {
        const derived = await deriveWire(facts, await sealedScope(view, { round, wire }))
        await store.write([[keys.wireRound({ wire, round }), toJson(derived)]])
        const { wires, peers, observations } = counts.get(round) as RoundCounts
        counts.set(round, {
          wires: wires + 1,
          peers: peers + derived.peers,
          observations: observations + derived.observations,
        })
      }
    }
  }
  await store.write([
    ...[...rounds].map(([round, row]) => [keys.round(round), toJson({ ...row, counts: counts.get(round) })] as const),
    [rebuildingKey, null],
  ])
  await store.compact(ranges.derived)
  let [redone, notRedone] = [0, 0]
  for (const [week, scope] of weeks) {
    const numbers = await numbersIn(facts, scope)
    const { sealed, expired } = await sealIdentities(facts, await facts.shelf.store(week), numbers, {
      placeOf,
      anew: placeOf !== undefined,
    })
    redone += sealed
    notRedone += expired
  }
  return { rounds: rounds.size, redone, notRedone }
}
