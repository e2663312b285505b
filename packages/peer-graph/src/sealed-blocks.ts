/** The blocks of a sealed round, as batches. A block that should be there and is not is STORE_CORRUPT, never an empty answer. */
import { type FactBatch, factsOf, type VisitBatch, visitsOf } from './batches.ts'
import type { Dictionary } from './dictionary.ts'
import { decodeFacts, placesOf } from './fact-block.ts'
import type { LevelStore, Row } from './level-store.ts'
import { networksOf } from './networks.ts'
import type { Holding } from './rounds.ts'
import { keys, ranges, type WireRoundKey } from './schema.ts'
import { damagedError } from './store-errors.ts'
import { decodeTellers, PIECE, type TellerTable } from './teller-table.ts'
import { decodeVisits } from './visit-block.ts'

/** What a sealed week holds of a wire hash in a round. */
export interface SealedPart {
  readonly of: WireRoundKey
  readonly week: LevelStore
  readonly holding: Holding
  /** Its network tokens were made with the study key of today. */
  readonly sameKey: boolean
}

/** A few blocks are read at a time. */
const reading = { batch: 4, bytes: 2 ** 18 } as const

export async function* sealedFacts(
  part: SealedPart,
  channel: number,
  trackers: Dictionary,
  peer?: number,
): AsyncGenerator<FactBatch> {
  const { of, week, holding, sameKey } = part
  const expected = holding.blocks[channel] ?? 0
  if (expected === 0) return
  const resolve = async (table: TellerTable) => {
    const tokens = sameKey ? table.tokens : new Float64Array(table.ids.length)
    return { table, networks: await networksOf(table.ids, tokens, trackers) }
  }
  if (peer !== undefined) {
    for await (const rows of week.rows(ranges.blocks(of, channel, peer), { batch: 1 })) {
      const [, value] = rows[0] as Row
      const places = placesOf(value, peer)
      if (places.size === 0) return
      const { table, networks } = await resolve(await tellersAt(part, channel, places))
      const batch = factsOf(decodeFacts(value, { of, channel, only: peer }, table, networks), peer)
      if (batch !== undefined) yield batch
    }
    return
  }
  const { table, networks } = await resolve(await tellersOf(part, channel))
  let found = 0
  for await (const rows of week.rows(ranges.blocks(of, channel), reading)) {
    for (const [, value] of rows) {
      found++
      yield decodeFacts(value, { of, channel }, table, networks)
    }
  }
  if (found !== expected) throw missing(week)
}

export async function tellersOf({ of, week }: SealedPart, channel: number): Promise<TellerTable> {
  const pieces = new Map<number, Buffer>()
  for await (const rows of week.rows(ranges.tellers(of, channel))) {
    for (const [, value] of rows) pieces.set(pieces.size, value)
  }
  if (pieces.size === 0) throw missing(week)
  return decodeTellers(pieces)
}

/** Of the table no more than what holds these places. */
async function tellersAt({ of, week }: SealedPart, channel: number, places: Iterable<number>): Promise<TellerTable> {
  const wanted = [...new Set(Array.from(places, (place) => Math.floor(place / PIECE)))]
  const values = await week.getMany(wanted.map((piece) => keys.tellers(of, channel, piece)))
  const pieces = new Map<number, Buffer>()
  for (const [i, piece] of wanted.entries()) {
    const value = values[i]
    if (value === undefined) throw missing(week)
    pieces.set(piece, value)
  }
  return decodeTellers(pieces)
}

export async function* sealedVisits({ of, week, holding }: SealedPart, peer?: number): AsyncGenerator<VisitBatch> {
  if (holding.visitBlocks === 0) return
  let found = 0
  for await (const rows of week.rows(ranges.visitBlocks(of, peer), reading)) {
    for (const [, value] of rows) {
      found++
      const batch = decodeVisits(value, of)
      const part = peer === undefined ? batch : visitsOf(batch, peer)
      if (part === undefined) return
      yield part
    }
  }
  if (peer === undefined && found !== holding.visitBlocks) throw missing(week)
}

function missing(week: LevelStore): Error {
  return damagedError(week.dir, 'a part of a sealed round is missing')
}
