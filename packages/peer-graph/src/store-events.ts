/** The store's log: what was done to it besides writing rounds. */
import { fromJson, toJson } from './json-row.ts'
import type { LevelStore, Snapshot } from './level-store.ts'
import { keys, lastNumber, ranges } from './schema.ts'
import type { StoreAct, StoreEvent } from './types.ts'

/** One caller at a time. */
export async function logEvent(store: LevelStore, atMs: number, act: StoreAct): Promise<void> {
  const last = await store.lastKey(ranges.events)
  const number = last === undefined ? 1 : lastNumber(last) + 1
  await store.write([[keys.event(number), toJson({ atMs, ...act })]])
}

export async function* storeEvents({
  store,
  snapshot,
}: {
  store: LevelStore
  snapshot?: Snapshot | undefined
}): AsyncGenerator<StoreEvent> {
  for await (const rows of store.rows(ranges.events, { snapshot })) {
    for (const [key, value] of rows) yield { ...fromJson<StoreEvent>(value, 'an event'), number: lastNumber(key) }
  }
}
