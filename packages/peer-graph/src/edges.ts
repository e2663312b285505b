/** Edges, derived: who told us of whom, in one torrent, over all rounds that are asked for. */
import { edgeKindOf, type InfoHash } from '@swarmatlas/core'
import type { Batch } from './batches.ts'
import { byPeer } from './by-peer.ts'
import { flagsOf, mergeRows, type ObservationRow, pexOf } from './observation-row.ts'
import { channelCode, channelCount, channelOf, type TellerRef, tellerOfId } from './schema.ts'
import { type Scope, scopesOf, streamsOf } from './scope.ts'
import { tellersOf } from './sealed-blocks.ts'
import { namesOf, pseudonymOf, tellerOf, weeksOf } from './tellers.ts'
import type { AnyEdgeRecord, EdgeFilter } from './types.ts'
import type { View } from './view.ts'

/** One peer, with what each teller said of it over each channel. */
interface Told {
  readonly peer: number
  readonly rows: Map<number, ObservationRow>
}

export interface EdgeFold {
  readonly peer: number
  readonly channel: number
  readonly teller: TellerRef
  readonly row: ObservationRow
}

export async function* edgeRecords(view: View, filter: EdgeFilter): AsyncGenerator<AnyEdgeRecord> {
  const { channel, expired, toldOf, toldBy } = filter
  const code = channel === undefined ? undefined : channelCode(channel)
  const of = toldOf === undefined ? undefined : await view.book.numbersKnown(toldOf)
  const by = toldBy === undefined ? undefined : await view.book.numbersKnown(toldBy)
  for await (const { torrent, scope } of scopesOf(view, filter)) {
    const parts = by === undefined ? scope : await heard(scope, by)
    for (const peer of of ?? [undefined]) {
      for await (const folds of edgeFolds(view, parts, { peer, channel: code })) {
        const wanted = by === undefined ? folds : folds.filter(({ teller }) => isOneOf(teller, by))
        const records = await edgesOf(view, scope, torrent.wireHashes[0] as InfoHash, wanted)
        for (const record of records) if (expired === true || (record.peer && record.teller)) yield record
      }
    }
  }
}

/** By peer; of each, by channel and teller. */
export async function* edgeFolds(
  view: View,
  scope: readonly Scope[],
  { peer, channel }: { peer?: number | undefined; channel?: number | undefined } = {},
): AsyncGenerator<EdgeFold[]> {
  const streams = streamsOf(view, scope, { peer, channel, visits: false })
  for await (const told of byPeer(streams, (peer): Told => ({ peer, rows: new Map() }), add)) {
    yield told.flatMap(({ peer, rows }) => {
      const folds = [...rows].map(([said, row]): EdgeFold => {
        const teller = tellerOfId(Math.floor(said / channelCount))
        return { peer, channel: said % channelCount, teller, row }
      })
      return channel === undefined ? folds : folds.filter((fold) => fold.channel === channel)
    })
  }
}

function add({ rows }: Told, batch: Batch, from: number, to: number): void {
  if (batch.kind !== 'facts') return
  for (let i = from; i < to; i++) {
    const said = (batch.tellers[i] as number) * channelCount + (batch.channels[i] as number)
    const row: ObservationRow = {
      firstMs: batch.firstMs[i] as number,
      lastMs: batch.lastMs[i] as number,
      count: batch.counts[i] as number,
      flags: batch.flags[i] as number,
      pex: batch.pex[i] as number,
    }
    const old = rows.get(said)
    rows.set(said, old === undefined ? row : mergeRows(old, row))
  }
}

/** The sealed parts in which one of the tellers said anything, and the open ones: their lists of tellers tell quickly. */
async function heard(scope: readonly Scope[], by: ReadonlySet<number>): Promise<Scope[]> {
  const found: Scope[] = []
  for (const part of scope) {
    if ('rows' in part) {
      found.push(part)
      continue
    }
    const blocks: number[] = []
    for (const [code, count] of part.sealed.holding.blocks.entries()) {
      const ids = count === 0 ? [] : (await tellersOf(part.sealed, code)).ids
      blocks.push(ids.some((id) => isOneOf(tellerOfId(id), by)) ? count : 0)
    }
    // Channels without blocks are not read.
    if (blocks.some((count) => count > 0)) {
      found.push({ ...part, sealed: { ...part.sealed, holding: { ...part.sealed.holding, blocks } } })
    }
  }
  return found
}

function isOneOf({ kind, number }: TellerRef, numbers: ReadonlySet<number>): boolean {
  return (kind === 'peer' || kind === 'dht-node') && numbers.has(number)
}

/** Ends whose address has expired are null; edges with an end that is not known by a pseudonym either are left out. */
export async function edgesOf(
  view: View,
  scope: readonly Scope[],
  torrent: InfoHash,
  folds: readonly EdgeFold[],
): Promise<AnyEdgeRecord[]> {
  const peers = folds.map(({ peer }) => peer)
  const tellers = folds.map(({ teller }) => teller)
  const names = await namesOf(view, weeksOf(scope), peers, tellers)
  const records: AnyEdgeRecord[] = []
  for (const { peer, channel, teller: ref, row } of folds) {
    const hasNumber = ref.kind === 'peer' || ref.kind === 'dht-node'
    const peerPseudonym = pseudonymOf(peer, names)
    const tellerPseudonym = hasNumber ? pseudonymOf(ref.number, names) : null
    if (peerPseudonym === null || (hasNumber && tellerPseudonym === null)) continue
    const name = channelOf(channel)
    records.push({
      torrent,
      teller: tellerOf(ref, names) ?? null,
      tellerKind: ref.kind,
      tellerPseudonym,
      tellerPlace: hasNumber ? (names.identities.get(ref.number)?.place ?? null) : null,
      peer: names.addresses.get(peer)?.endpoint ?? null,
      peerPseudonym,
      peerPlace: names.identities.get(peer)?.place ?? null,
      kind: edgeKindOf(name),
      channel: name,
      firstSeenMs: row.firstMs,
      lastSeenMs: row.lastMs,
      count: row.count,
      flags: flagsOf(row.flags),
      pex: pexOf(row.pex),
    })
  }
  return records
}
