/** The blocks of a sealed round, as batches. A block that should be there and is not is STORE_CORRUPT, never an empty answer. */
import { type FactBatch, factsOf, type VisitBatch, visitsOf } from './batches.ts'
import type { Dictionary } from './dictionary.ts'
import { decodeFacts } from './fact-block.ts'
import type { LevelStore } from './level-store.ts'
import { networksOf } from './networks.ts'
import type { Holding } from './rounds.ts'
import { ranges, type WireRoundKey } from './schema.ts'
import { damagedError } from './store-errors.ts'
import { decodeTellers, type TellerTable } from './teller-table.ts'
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
  const table = await tellersOf(part, channel)
  const tokens = sameKey ? table.tokens : new Float64Array(table.ids.length)
  const networks = await networksOf(table.ids, tokens, trackers)
  let found = 0
  for await (const rows of week.rows(ranges.blocks(of, channel, peer), reading)) {
    for (const [, value] of rows) {
      found++
      const batch = decodeFacts(value, of, channel, table, networks)
      const part = peer === undefined ? batch : factsOf(batch, peer)
      if (part === undefined) return
      yield part
    }
  }
  if (peer === undefined && found !== expected) throw missing(week)
}

export async function tellersOf({ of, week }: SealedPart, channel: number): Promise<TellerTable> {
  const pieces: Buffer[] = []
  for await (const rows of week.rows(ranges.tellers(of, channel))) for (const [, value] of rows) pieces.push(value)
  if (pieces.length === 0) throw missing(week)
  return decodeTellers(Buffer.concat(pieces))
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
