/**
 * Place and pseudonym of peers and tellers, kept with the week in which their rounds were sealed: they outlive the address,
 * and go when the week goes.
 */
import { type Endpoint, limits, type Place } from '@swarmatlas/core'
import { ByteReader, ByteWriter } from './bytes.ts'
import type { Facts } from './facts.ts'
import { fromJson, toJson } from './json-row.ts'
import type { LevelStore, Write } from './level-store.ts'
import { keys } from './schema.ts'

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
  }
  return { sealed, expired }
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
    const values = await week.getMany(open.map(keys.identity))
    for (const [i, number] of open.entries()) {
      const value = values[i]
      if (value !== undefined) found.set(number, await decode(facts, value))
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
