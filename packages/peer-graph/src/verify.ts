/** Reading everything: each file under LevelDB's checksums, each row under ours, each sealed round against what it must hold. */
import { dirname, join } from 'node:path'
import { messageOf } from '@swarmatlas/core'
import type { LevelStore } from './level-store.ts'
import { allRounds, holdingsOf } from './rounds.ts'
import { ranges } from './schema.ts'
import { sealedScope, streamsOf } from './scope.ts'
import { damagedTables } from './table-file.ts'
import type { Damage } from './types.ts'
import type { View } from './view.ts'

export async function* verifyStore(view: View): AsyncGenerator<Damage> {
  const { store, shelf, book } = view
  const dirs = [...(await shelf.names()).map((name) => join(dirname(store.dir), name)), ...book.dirs(), store.dir]
  const damaged = new Set<string>()
  for (const dir of dirs) {
    for await (const damage of damagedTables(dir)) {
      damaged.add(dir)
      yield damage
    }
  }
  // A damaged one is not read: LevelDB might end the process.
  for (const name of await shelf.names()) {
    if (!damaged.has(join(dirname(store.dir), name))) yield* verifyRows(() => shelf.store(name))
  }
  for (const dir of book.dirs()) if (!damaged.has(dir)) yield* verifyRows(() => book.storeIn(dir))
  if (!damaged.has(store.dir)) yield* verifyRows(async () => store)
  try {
    for await (const [round, { counts }] of allRounds(store, view.snapshot)) {
      if (counts !== undefined) yield* verifyRound(view, round, counts.wires)
    }
  } catch (error) {
    yield { path: store.dir, what: messageOf(error) }
  }
}

async function* verifyRows(open: () => Promise<LevelStore>): AsyncGenerator<Damage> {
  let path = ''
  try {
    const store = await open()
    path = store.dir
    for await (const _ of store.rows(ranges.everything, { batch: 512, bytes: 2 ** 22 }));
  } catch (error) {
    yield { path, what: messageOf(error) }
  }
}

async function* verifyRound(view: View, round: number, wires: number): AsyncGenerator<Damage> {
  const holdings = await holdingsOf(view.store, round)
  if (holdings.size !== wires) {
    yield {
      path: view.store.dir,
      what: `round ${round} is of ${wires} wire hashes, of which ${holdings.size} are found`,
    }
  }
  for (const [wire, { facts, visits }] of holdings) {
    const found = { facts: 0, visits: 0 }
    try {
      const scope = await sealedScope(view, { round, wire })
      for (const stream of streamsOf(view, [scope], { visits: true })) {
        for await (const { kind, length } of stream) found[kind] += length
      }
      if (found.facts === facts && found.visits === visits) continue
      yield { path: view.store.dir, what: `round ${round} does not hold all that was sealed` }
    } catch (error) {
      yield { path: view.store.dir, what: messageOf(error) }
    }
  }
}
