/** The rows of a round that is not sealed, as batches. The word of a teller may stand in several rows, one of each commit. */
import { type Batch, emptyFacts, type FactBatch, type TimedVisit } from './batches.ts'
import type { Facts } from './facts.ts'
import { networksOf, tokensOf } from './networks.ts'
import { decodeRow, mergeRows, type ObservationRow } from './observation-row.ts'
import {
  channelOfKey,
  lastNumber,
  parseVisitKey,
  peerOf,
  ranges,
  sameFact,
  tellerOfId,
  tellerOfKey,
  type WireRoundKey,
} from './schema.ts'
import type { OpenRows } from './view.ts'
import { decodeVisit } from './visit-row.ts'

export async function* wiresOf({ store, snapshot }: OpenRows): AsyncGenerator<number> {
  for await (const rows of store.rows(ranges.wiresHere, { snapshot })) for (const [key] of rows) yield lastNumber(key)
}

/** Without networks, unless `resolve` is given. */
export async function* openFacts(
  { store, snapshot }: OpenRows,
  of: WireRoundKey,
  { peer, resolve }: { peer?: number | undefined; resolve?: Facts | undefined } = {},
): AsyncGenerator<FactBatch> {
  let pending: { key: Buffer; row: ObservationRow } | undefined
  for await (const rows of store.rows(ranges.observations(of.wire, peer), { snapshot })) {
    const columns = emptyFacts(of, rows.length)
    let length = 0
    for (const [key, value] of rows) {
      const row = decodeRow(value)
      if (pending !== undefined && sameFact(pending.key, key)) {
        pending.row = mergeRows(pending.row, row)
        continue
      }
      if (pending !== undefined) put(columns, length++, pending.key, pending.row)
      pending = { key, row }
    }
    if (length > 0) yield await resolved({ ...columns, length }, resolve)
  }
  if (pending === undefined) return
  const last = emptyFacts(of, 1)
  put(last, 0, pending.key, pending.row)
  yield await resolved(last, resolve)
}

function put(columns: FactBatch, i: number, key: Buffer, row: ObservationRow): void {
  columns.peers[i] = peerOf(key)
  columns.channels[i] = channelOfKey(key)
  columns.tellers[i] = tellerOfKey(key)
  columns.firstMs[i] = row.firstMs
  columns.lastMs[i] = row.lastMs
  columns.counts[i] = row.count
  columns.flags[i] = row.flags
  columns.pex[i] = row.pex
}

async function resolved(batch: FactBatch, facts: Facts | undefined): Promise<FactBatch> {
  if (facts === undefined) return batch
  const ids = Float64Array.from(new Set(batch.tellers.subarray(0, batch.length)))
  const peers = [...ids].map(tellerOfId).filter(({ kind }) => kind === 'peer')
  const addresses = await facts.book.entriesOf(peers.map(({ number }) => number))
  const networks = await networksOf(ids, tokensOf(ids, addresses, facts.key), facts.trackers)
  const known = new Map<number, number>()
  ids.forEach((id, i) => {
    known.set(id, networks[i] as number)
  })
  for (let i = 0; i < batch.length; i++) batch.networks[i] = known.get(batch.tellers[i] as number) as number
  return batch
}

export async function* openVisits(
  { store, snapshot }: OpenRows,
  of: WireRoundKey,
  peer?: number,
): AsyncGenerator<Batch> {
  for await (const rows of store.rows(ranges.visits(of.wire, peer), { snapshot })) {
    const peers = new Float64Array(rows.length)
    const visits = rows.map(([key, value], i): TimedVisit => {
      const parsed = parseVisitKey(key)
      peers[i] = parsed.peer
      return { ...decodeVisit(value), atMs: parsed.atMs }
    })
    yield { kind: 'visits', of, length: rows.length, peers, visits }
  }
}
