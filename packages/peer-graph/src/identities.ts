/**
 * Place and pseudonym of peers and tellers, kept with the week in which their rounds were sealed: they outlive the address,
 * and go when the week goes.
 */
import { type Endpoint, limits, type Place } from '@swarmatlas/core'
import { ByteReader, ByteWriter } from './bytes.ts'
import type { Facts } from './facts.ts'
import { fromJson, toJson } from './json-row.ts'
import type { LevelStore, NumberedSpace, Write } from './level-store.ts'
import { Lru } from './lru.ts'
import { keys, lastPeer, ranges } from './schema.ts'

const identities: NumberedSpace = { keyOf: keys.identity, rangeFrom: ranges.identitiesFrom, numberOf: lastPeer }

export type PlaceOf = (endpoint: Endpoint) => Place | null

export interface Identity {
  readonly place: Place | null
  /** 32 hex digits. */
  readonly pseudonym: string
}

/** Seals those whose address is known. Returns how many are not, and had none. */
export async function sealIdentities(
  facts: Facts,
  week: LevelStore,
  numbers: ReadonlySet<number>,
  { placeOf, anew = false }: { placeOf?: PlaceOf | undefined; anew?: boolean },
): Promise<{ sealed: number; expired: number }> {
  let [sealed, expired] = [0, 0]
  for (const chunk of chunks([...numbers].sort((a, b) => a - b))) {
    const known = await week.getMany(chunk.map(keys.identity))
    const open = chunk.filter((_, i) => {
      const value = known[i]
      return value === undefined || anew || (placeOf !== undefined && value[0] === 0)
    })
    const addresses = await facts.book.entriesOf(open)
    const writes: Write[] = []
    for (const number of open) {
      const entry = addresses.get(number)
      if (entry === undefined) {
        expired++
        continue
      }
      const place = placeOf?.(entry.endpoint) ?? null
      const value = new ByteWriter()
        .varint(place === null ? 0 : await facts.places.number(toJson(place).toString()))
        .raw(Buffer.from(entry.pseudonym, 'hex'))
        .finish()
      writes.push([keys.identity(number), value])
      sealed++
    }
    await week.write(writes)
    caches.delete(week)
  }
  return { sealed, expired }
}

const caches: WeakMap<LevelStore, Lru<number, Identity>> = new WeakMap()

/** Emptied when the week is written to. */
function cacheOf(week: LevelStore): Lru<number, Identity> {
  const cache = caches.get(week) ?? new Lru<number, Identity>(limits.addressCacheEntries)
  caches.set(week, cache)
  return cache
}

/** Of the first of `weeks` that has them; a place goes before none. */
export async function identitiesOf(
  facts: Facts,
  weeks: readonly LevelStore[],
  numbers: Iterable<number>,
): Promise<Map<number, Identity>> {
  const found = new Map<number, Identity>()
  let open = [...numbers]
  for (const week of weeks) {
    if (open.length === 0) break
    const cache = cacheOf(week)
    const unknown: number[] = []
    for (const number of open) {
      const identity = cache.get(number)
      if (identity === undefined) unknown.push(number)
      else found.set(number, identity)
    }
    for (const [number, value] of await week.getNumbered(unknown, identities)) {
      const identity = await decode(facts, value)
      cache.set(number, identity)
      found.set(number, identity)
    }
    open = open.filter((number) => (found.get(number)?.place ?? null) === null)
  }
  return found
}

async function decode({ places }: Facts, value: Buffer): Promise<Identity> {
  const reader = new ByteReader(value, 'a place')
  const place = reader.varint()
  const pseudonym = reader.raw(limits.pseudonymBytes).toString('hex')
  if (place === 0) return { place: null, pseudonym }
  const json = await places.text(place)
  return { place: json === undefined ? null : fromJson<Place>(Buffer.from(json), 'a place'), pseudonym }
}

function* chunks(numbers: readonly number[]): Generator<number[]> {
  for (let at = 0; at < numbers.length; at += limits.storeReadRows) yield numbers.slice(at, at + limits.storeReadRows)
}
