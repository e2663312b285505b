/** Edges, derived: who told us of whom, in one torrent, over all rounds that are asked for. */
import { edgeKindOf, type InfoHash } from '@swarmatlas/core'
import { mergedRows } from './merged-rows.ts'
import { decodeRow, flagsOf, mergeRows, type ObservationRow, pexOf } from './observation-row.ts'
import { edgeOf, parseObservationKey } from './schema.ts'
import { observationRanges, scopesOf, type View, type WireRound } from './scope.ts'
import { namesOf, tellerOf } from './tellers.ts'
import type { EdgeRecord, PeerFilter } from './types.ts'

/** A key of one of its rows, and what all of them say. */
interface EdgeFold {
  readonly key: Buffer
  row: ObservationRow
}

export async function* edgeRecords(view: View, filter: PeerFilter): AsyncGenerator<EdgeRecord> {
  for await (const { torrent, scope } of scopesOf(view, filter)) {
    for await (const folds of edgeFolds(view, scope)) {
      yield* await recordsOf(view, torrent.wireHashes[0] as InfoHash, folds)
    }
  }
}

async function* edgeFolds(view: View, scope: readonly WireRound[]): AsyncGenerator<EdgeFold[]> {
  let fold: EdgeFold | undefined
  for await (const rows of mergedRows(view.store, observationRanges(scope), view.snapshot)) {
    const done: EdgeFold[] = []
    for (const [key, value] of rows) {
      const row = decodeRow(value)
      if (fold !== undefined && edgeOf(fold.key).equals(edgeOf(key))) {
        fold.row = mergeRows(fold.row, row)
      } else {
        if (fold !== undefined) done.push(fold)
        fold = { key, row }
      }
    }
    if (done.length > 0) yield done
  }
  if (fold !== undefined) yield [fold]
}

/** Edges with an end whose address has expired are left out. */
async function recordsOf(view: View, torrent: InfoHash, folds: readonly EdgeFold[]): Promise<EdgeRecord[]> {
  const parsed = folds.map(({ key, row }) => ({ ...parseObservationKey(key), row }))
  const peers = parsed.map(({ peer }) => peer)
  const tellers = parsed.map(({ teller }) => teller)
  const names = await namesOf(view, peers, tellers)
  const records: EdgeRecord[] = []
  for (const { peer, channel, teller: ref, row } of parsed) {
    const endpoint = names.addresses.get(peer)?.endpoint
    const teller = tellerOf(ref, names)
    if (endpoint === undefined || teller === undefined) continue
    records.push({
      torrent,
      teller,
      peer: endpoint,
      kind: edgeKindOf(channel),
      channel,
      firstSeenMs: row.firstMs,
      lastSeenMs: row.lastMs,
      count: row.count,
      flags: flagsOf(row.flags),
      pex: pexOf(row.pex),
    })
  }
  return records
}
