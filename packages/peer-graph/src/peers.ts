/** Peers, derived: what all observations and visits of one peer in one torrent come to. */
import { channels, type InfoHash } from '@swarmatlas/core'
import { matches } from './filter.ts'
import { flagsOf } from './observation-row.ts'
import { type FoldedVisit, type PeerFold, peerFolds } from './peer-fold.ts'
import { channelOf } from './schema.ts'
import { type Scope, scopesOf } from './scope.ts'
import { type Names, namesOf, pseudonymOf, weeksOf } from './tellers.ts'
import type { Torrent } from './torrents.ts'
import type { AnyPeerRecord, PeerFilter, StoredVisit } from './types.ts'
import type { View } from './view.ts'

export async function* peerRecords(view: View, filter: PeerFilter): AsyncGenerator<AnyPeerRecord> {
  const passes = matches(filter)
  for await (const { torrent, scope } of scopesOf(view, filter)) {
    for await (const folds of peerFolds(view, scope)) {
      for (const record of await recordsOf(view, { torrent, scope }, folds)) if (passes(record)) yield record
    }
  }
}

/** Peers whose address has expired have none; those whose pseudonym was never sealed, or who are forgotten, are left out. */
export async function recordsOf(
  view: View,
  { torrent, scope }: { torrent: Torrent; scope: readonly Scope[] },
  folds: readonly PeerFold[],
): Promise<AnyPeerRecord[]> {
  const peers = folds.map(({ peer }) => peer)
  const names = await namesOf(view, weeksOf(scope), peers)
  const swarms = new Map<number, InfoHash>()
  for (const wire of torrent.wires) swarms.set(wire, (await view.wires.text(wire)) as InfoHash)
  return folds.flatMap((fold) => recordOf(fold, torrent.wireHashes[0] as InfoHash, names, swarms) ?? [])
}

function recordOf(
  fold: PeerFold,
  torrent: InfoHash,
  names: Names,
  swarms: ReadonlyMap<number, InfoHash>,
): AnyPeerRecord | undefined {
  const pseudonym = pseudonymOf(fold.peer, names)
  if (pseudonym === null) return undefined
  const stored = ({ wire, ...visit }: FoldedVisit): StoredVisit => ({ ...visit, swarm: swarms.get(wire) as InfoHash })
  const lastVisit = latest(fold.visits)
  const { lastAnswer } = fold
  return {
    torrent,
    endpoint: names.addresses.get(fold.peer)?.endpoint ?? null,
    pseudonym,
    place: names.identities.get(fold.peer)?.place ?? null,
    channels: channelsOf(fold.channels),
    tellers: fold.tellers,
    evidence: fold.evidence,
    // Visited in vain and named by nobody: the visit is all there is.
    firstSeenMs: Number.isFinite(fold.firstMs) ? fold.firstMs : (lastVisit?.atMs ?? 0),
    lastSeenMs: Number.isFinite(fold.lastMs) ? fold.lastMs : (lastVisit?.atMs ?? 0),
    flags: flagsOf(fold.flags),
    lastVisit: lastVisit === undefined ? null : stored(lastVisit),
    lastAnswer: lastAnswer === undefined ? null : stored(lastAnswer),
    rounds: fold.rounds.size,
    swarms: [...fold.wires].map((wire) => swarms.get(wire) as InfoHash),
  }
}

function latest(visits: readonly FoldedVisit[]): FoldedVisit | undefined {
  let last: FoldedVisit | undefined
  for (const visit of visits) if (last === undefined || visit.atMs >= last.atMs) last = visit
  return last
}

function channelsOf(bits: number): AnyPeerRecord['channels'] {
  return channels.map((_, code) => code).flatMap((code) => (bits & (1 << code) ? [channelOf(code)] : []))
}
