/**
 * Removing sealed rounds, or what they hold of a swarm. A week that loses all goes as a directory; of one that loses some
 * what stays is copied into a new one, because LevelDB gives deleted space back late or never. The rows that point to the
 * blocks change in one batch; directories that none points to are removed, now or by the next opening.
 */
import { SwarmatlasError } from '@swarmatlas/core'
import type { Batch } from './batches.ts'
import type { Facts } from './facts.ts'
import { toJson } from './json-row.ts'
import type { LevelStore, Write } from './level-store.ts'
import { allRounds, holdingsOf, type RoundRow } from './rounds.ts'
import { keys, lastPeer, ranges, sealedScopeOf, tellerOfId, type WireRoundKey } from './schema.ts'
import { sealedScope, streamsOf } from './scope.ts'
import type { Torrent } from './torrents.ts'
import { currentView } from './view.ts'

export interface Pruning {
  /** Rounds that began before. */
  readonly beforeMs?: number | undefined
  /** Of this torrent alone. */
  readonly torrent?: Torrent | undefined
  newWeekDir(dir: string): Promise<string>
}

/** Returns the rounds that lost something. What is derived has to be rebuilt afterwards. */
export async function pruneRounds(facts: Facts, pruning: Pruning): Promise<number[]> {
  const { beforeMs = Number.POSITIVE_INFINITY, torrent } = pruning
  if (pruning.beforeMs === undefined && torrent === undefined) {
    throw new SwarmatlasError('BAD_OPTION', 'what to prune is not said', { hint: 'give an age, a swarm, or both' })
  }
  const weeks = new Map<string, [number, RoundRow][]>()
  for await (const [number, row] of allRounds(facts.store)) {
    if (row.counts === undefined || row.week === undefined) continue
    weeks.set(row.week, [...(weeks.get(row.week) ?? []), [number, row]])
  }
  const wires = torrent && new Set(torrent.wires)
  const touched: number[] = []
  for (const [week, rounds] of weeks) {
    const gone: WireRoundKey[] = []
    const kept: WireRoundKey[] = []
    for (const [round, { startedMs }] of rounds) {
      for (const wire of (await holdingsOf(facts.store, round)).keys()) {
        const goes = startedMs < beforeMs && (wires === undefined || wires.has(wire))
        ;(goes ? gone : kept).push({ round, wire })
      }
    }
    // A round of which nothing stays goes itself, unless only a swarm is to go: then the round did take place.
    const rows = wires === undefined ? rounds.filter(([, { startedMs }]) => startedMs < beforeMs) : []
    if (gone.length === 0 && rows.length === 0) continue
    const writes: Write[] = gone.flatMap((of): Write[] => [
      [keys.holding(of), null],
      [keys.wireRound(of), null],
    ])
    for (const [round] of rows) writes.push([keys.round(round), null])
    const staying = rounds.filter(([round]) => !rows.some(([other]) => other === round))
    if (staying.length > 0 && gone.length > 0) {
      const dir = await pruning.newWeekDir(week)
      await copyWeek(facts, { from: await facts.shelf.store(week), to: await facts.shelf.store(dir), kept })
      for (const [round, row] of staying) writes.push([keys.round(round), toJson({ ...row, week: dir })])
    }
    await facts.store.write(writes, { sync: true })
    if (gone.length > 0 || staying.length === 0) void facts.shelf.retire(week)
    touched.push(...new Set([...gone.map(({ round }) => round), ...rows.map(([round]) => round)]))
  }
  return touched.sort((a, b) => a - b)
}

/** Copies blocks of `kept`, and identities of those who are named there. */
async function copyWeek(
  facts: Facts,
  { from, to, kept }: { from: LevelStore; to: LevelStore; kept: readonly WireRoundKey[] },
): Promise<void> {
  const staying = new Set(kept.map(({ round, wire }) => `${round} ${wire}`))
  const named = await numbersIn(facts, kept)
  await copyRows(from, to, {
    holds: ({ round, wire }) => staying.has(`${round} ${wire}`),
    knows: (number) => named.has(number),
  })
}

async function copyRows(
  from: LevelStore,
  to: LevelStore,
  { holds, knows }: { holds(of: WireRoundKey): boolean; knows(number: number): boolean },
): Promise<void> {
  for await (const rows of from.rows(ranges.sealedFacts, { batch: 64, bytes: 2 ** 22 })) {
    await to.write(rows.filter(([key]) => holds(sealedScopeOf(key))))
  }
  for await (const rows of from.rows(ranges.identities)) await to.write(rows.filter(([key]) => knows(lastPeer(key))))
  await to.write([[keys.meta('copied'), Buffer.from('1')]], { sync: true })
}

/** Writes anew the weeks that know one of `numbers` by place and pseudonym, without it. */
export async function forgetIdentities(
  facts: Facts,
  numbers: ReadonlySet<number>,
  newWeekDir: Pruning['newWeekDir'],
): Promise<void> {
  const weeks = new Map<string, [number, RoundRow][]>()
  for await (const [number, row] of allRounds(facts.store)) {
    if (row.week !== undefined) weeks.set(row.week, [...(weeks.get(row.week) ?? []), [number, row]])
  }
  for (const [week, rounds] of weeks) {
    const from = await facts.shelf.store(week)
    const known = await from.getMany([...numbers].map(keys.identity))
    if (known.every((value) => value === undefined)) continue
    const dir = await newWeekDir(week)
    await copyRows(from, await facts.shelf.store(dir), { holds: () => true, knows: (number) => !numbers.has(number) })
    await facts.store.write(
      rounds.map(([round, row]) => [keys.round(round), toJson({ ...row, week: dir })]),
      { sync: true },
    )
    void facts.shelf.retire(week)
  }
  await facts.shelf.settle()
}

/** Peers, and tellers that have a number. */
export async function numbersIn(facts: Facts, scope: readonly WireRoundKey[]): Promise<Set<number>> {
  const numbers = new Set<number>()
  const view = currentView(facts)
  for (const of of scope) {
    for (const stream of streamsOf(view, [await sealedScope(view, of)], { visits: true })) {
      for await (const batch of stream) collect(batch, numbers)
    }
  }
  return numbers
}

function collect(batch: Batch, numbers: Set<number>): void {
  for (let i = 0; i < batch.length; i++) {
    numbers.add(batch.peers[i] as number)
    if (batch.kind !== 'facts') continue
    const { kind, number } = tellerOfId(batch.tellers[i] as number)
    if (kind === 'peer' || kind === 'dht-node') numbers.add(number)
  }
}
