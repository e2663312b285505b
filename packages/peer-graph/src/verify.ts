/** Reading everything: each file under LevelDB's checksums, each row under ours, each sealed round against what it must hold. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '@swarmatlas/core'
import type { LevelStore } from './level-store.ts'
import { allRounds, holdingsOf } from './rounds.ts'
import { ranges } from './schema.ts'
import { sealedScope, streamsOf } from './scope.ts'
import { tableDamage } from './table-file.ts'
import type { Damage } from './types.ts'
import type { View } from './view.ts'

export async function* verifyStore(view: View): AsyncGenerator<Damage> {
  const { store, shelf, book } = view
  const weeks = new Set<string>()
  const stores: LevelStore[] = [store]
  for (const { store: rows } of view.open.values()) stores.push(rows)
  try {
    for await (const [, { week, counts }] of allRounds(store, view.snapshot)) {
      if (week !== undefined && counts !== undefined) weeks.add(week)
    }
    for (const week of weeks) stores.push(await shelf.store(week))
    stores.push(...(await book.stores()))
  } catch (error) {
    yield { path: store.dir, what: messageOf(error) }
  }
  for (const one of stores) {
    yield* verifyFiles(one.dir)
    yield* verifyRows(one)
  }
  try {
    for await (const [round, { counts }] of allRounds(store, view.snapshot)) {
      if (counts !== undefined) yield* verifyRound(view, round, counts.wires)
    }
  } catch (error) {
    yield { path: store.dir, what: messageOf(error) }
  }
}

async function* verifyFiles(dir: string): AsyncGenerator<Damage> {
  for (const name of await readdir(dir)) {
    if (!/\.(ldb|sst)$/.test(name)) continue
    const path = join(dir, name)
    // Gone since it was listed: compacted into others.
    const file = await readFile(path).catch(() => undefined)
    const what = file && tableDamage(file)
    if (what !== undefined) yield { path, what }
  }
}

async function* verifyRows(store: LevelStore): AsyncGenerator<Damage> {
  try {
    for await (const _ of store.rows(ranges.everything, { batch: 512, bytes: 2 ** 22 }));
  } catch (error) {
    yield { path: store.dir, what: messageOf(error) }
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
