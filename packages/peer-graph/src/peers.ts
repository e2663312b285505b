/** Peers, derived: what all observations and visits of one peer in one torrent come to. */
import { type Endpoint, evidenceOf, type InfoHash, type Witness } from '@swarmatlas/core'
import { mergedRows } from './merged-rows.ts'
import { flagsOf } from './observation-row.ts'
import { PeerFold } from './peer-fold.ts'
import { peerOf, type TellerRef } from './schema.ts'
import { observationRanges, scopesOf, type View, visitRanges, type WireRound } from './scope.ts'
import { type Names, namesOf, tellerOf } from './tellers.ts'
import type { Torrent } from './torrents.ts'
import type { PeerFilter, PeerRecord, StoredVisit } from './types.ts'

export async function* peerRecords(view: View, filter: PeerFilter): AsyncGenerator<PeerRecord> {
  for await (const { torrent, scope } of scopesOf(view, filter)) {
    for await (const folds of peerFolds(view, scope)) yield* await recordsOf(view, torrent, folds)
  }
}

/** The peers of a torrent in batches, by number. */
export async function* peerFolds(view: View, scope: readonly WireRound[]): AsyncGenerator<PeerFold[]> {
  const ranges = [...observationRanges(scope), ...visitRanges(scope)]
  let fold: PeerFold | undefined
  for await (const rows of mergedRows(view.store, ranges, view.snapshot)) {
    const done: PeerFold[] = []
    for (const row of rows) {
      const peer = peerOf(row[0])
      if (fold?.peer !== peer) {
        if (fold !== undefined) done.push(fold)
        fold = new PeerFold(peer)
      }
      fold.add(row)
    }
    if (done.length > 0) yield done
  }
  if (fold !== undefined) yield [fold]
}

/** Peers whose address has expired are left out. */
async function recordsOf(view: View, torrent: Torrent, folds: readonly PeerFold[]): Promise<PeerRecord[]> {
  const peers = folds.map(({ peer }) => peer)
  const names = await namesOf(view, peers, folds.flatMap(tellersOf))
  const swarms = new Map<number, InfoHash>()
  for (const wire of torrent.wires) swarms.set(wire, (await view.wires.text(wire)) as InfoHash)
  return folds.flatMap((fold) => {
    const endpoint = names.addresses.get(fold.peer)?.endpoint
    return endpoint === undefined ? [] : [recordOf(fold, endpoint, torrent.wireHashes[0] as InfoHash, names, swarms)]
  })
}

function recordOf(
  fold: PeerFold,
  endpoint: Endpoint,
  torrent: InfoHash,
  names: Names,
  swarms: ReadonlyMap<number, InfoHash>,
): PeerRecord {
  const visits = fold.visits
    .sort((a, b) => a.atMs - b.atMs)
    .map(({ wire, ...visit }): StoredVisit => ({ ...visit, swarm: swarms.get(wire) as InfoHash }))
  const lastVisit = visits.at(-1) ?? null
  const handshakes = visits.filter(({ handshaken }) => handshaken)
  return {
    torrent,
    endpoint,
    channels: [...fold.witnesses.keys()],
    tellers: fold.tellers,
    evidence: evidenceOf(witnessesOf(fold, names), visits),
    // Visited in vain and named by nobody: the visit is all there is.
    firstSeenMs: Number.isFinite(fold.firstMs) ? fold.firstMs : (lastVisit?.atMs ?? 0),
    lastSeenMs: Number.isFinite(fold.lastMs) ? fold.lastMs : (lastVisit?.atMs ?? 0),
    flags: flagsOf(fold.flags),
    lastVisit,
    lastAnswer: handshakes.findLast(({ role }) => role !== undefined) ?? handshakes.at(-1) ?? null,
    rounds: fold.rounds.size,
    swarms: [...fold.wires].map((wire) => swarms.get(wire) as InfoHash),
  }
}

function tellersOf(fold: PeerFold): TellerRef[] {
  return [...fold.witnesses.values()].flatMap((witnesses) => witnesses.map(({ teller }) => teller))
}

function* witnessesOf(fold: PeerFold, names: Names): Generator<Witness> {
  for (const { channel, teller: ref } of [...fold.witnesses.values()].flat()) {
    const teller = tellerOf(ref, names)
    if (teller !== undefined) yield { channel, teller }
  }
}
