/** Rounds and torrents, summed up from what is derived of sealed rounds and from the rows of open ones. */
import type { InfoHash, TrackerReport } from '@swarmatlas/core'
import { countPeer, decodeSeen, noPeers, type WireRoundRow, wireStats } from './derive.ts'
import { fromJson } from './json-row.ts'
import { wiresOf } from './open-rows.ts'
import { peerFolds } from './peer-fold.ts'
import { allRounds } from './rounds.ts'
import { keys, lastPeer, parseReportKey, ranges } from './schema.ts'
import { type Scope, scopeOf } from './scope.ts'
import type { Torrent } from './torrents.ts'
import type {
  RoundSummary,
  SeriesPoint,
  StoredTrackerReport,
  SwarmCounts,
  SwarmSummary,
  TorrentDetails,
} from './types.ts'
import type { View } from './view.ts'

export async function* roundSummaries(view: View): AsyncGenerator<RoundSummary> {
  const hybrids: Torrent[] = []
  for await (const torrent of view.torrents.all(view.snapshot)) if (torrent.wires.length > 1) hybrids.push(torrent)
  for await (const [number, row] of allRounds(view.store, view.snapshot)) {
    const { startedMs, endedMs, reason, vantage, command } = row
    const counts = row.counts ?? (await countOpen(view, number))
    let { wires: swarms, peers } = counts
    for (const torrent of hybrids) {
      // Counted under each of its hashes: only once it should be.
      const scope = await scopeOf(view, torrent, (round) => round === number)
      if (scope.length < 2) continue
      swarms -= scope.length - 1
      for (const part of scope) peers -= (await countScope(view, [part])).peers
      peers += (await countScope(view, scope)).peers
    }
    const { observations } = counts
    yield { number, startedMs, endedMs, reason, vantage, command, swarms, peers, observations }
  }
}

async function countOpen(view: View, round: number): Promise<{ wires: number; peers: number; observations: number }> {
  const counts = { wires: 0, peers: 0, observations: 0 }
  const rows = view.open.get(round)
  if (rows === undefined) return counts
  for await (const wire of wiresOf(rows)) {
    const { peers, observations } = await countScope(view, [{ round, wire, rows }])
    if (peers > 0) counts.wires++
    counts.peers += peers
    counts.observations += observations
  }
  return counts
}

async function countScope(view: View, scope: readonly Scope[]): Promise<{ peers: number; observations: number }> {
  const counts = { peers: 0, observations: 0 }
  for await (const folds of peerFolds(view, scope)) {
    counts.peers += folds.length
    for (const { observations } of folds) counts.observations += observations
  }
  return counts
}

export async function* swarmSummaries(view: View): AsyncGenerator<SwarmSummary> {
  for await (const torrent of view.torrents.all(view.snapshot)) {
    const { wireHashes, hashes, metadata } = torrent
    const scope = await scopeOf(view, torrent)
    const rounds = new Set(scope.map(({ round }) => round))
    const latest = Math.max(...rounds)
    yield {
      infoHash: wireHashes[0] as InfoHash,
      infoHashV2: hashes.v2 ?? null,
      name: metadata?.name ?? null,
      totalBytes: metadata?.totalBytes ?? null,
      files: metadata?.files.length ?? null,
      private: metadata?.private ?? false,
      ...(await everSeen(view, torrent, scope)),
      rounds: rounds.size,
      latest:
        rounds.size === 0
          ? null
          : await countsOf(
              view,
              scope.filter(({ round }) => round === latest),
            ),
    }
  }
}

type EverSeen = Pick<SwarmSummary, 'peers' | 'firstSeenMs' | 'lastSeenMs'>

async function everSeen(view: View, torrent: Torrent, scope: readonly Scope[]): Promise<EverSeen> {
  const open = scope.filter((part) => 'rows' in part)
  const [only] = torrent.wires
  let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  const see = (firstMs: number, lastMs: number) => {
    first = Math.min(first, firstMs)
    last = Math.max(last, lastMs)
  }
  const result = (peers: number): EverSeen => ({
    peers,
    firstSeenMs: Number.isFinite(first) ? first : null,
    lastSeenMs: Number.isFinite(last) ? last : null,
  })
  if (torrent.wires.length > 1) {
    const peers = new Set<number>()
    for (const wire of torrent.wires) {
      for await (const rows of view.store.rows(ranges.seen(wire), { snapshot: view.snapshot })) {
        for (const [key, value] of rows) {
          const { firstMs, lastMs } = decodeSeen(value)
          if (firstMs > 0) see(firstMs, lastMs)
          peers.add(lastPeer(key))
        }
      }
    }
    for await (const folds of peerFolds(view, open)) {
      for (const { peer, firstMs, lastMs } of folds) {
        peers.add(peer)
        see(firstMs, lastMs)
      }
    }
    return result(peers.size)
  }
  const stats = await wireStats(view.store, only as number, view.snapshot)
  if (stats.firstMs !== null && stats.lastMs !== null) see(stats.firstMs, stats.lastMs)
  let { peers } = stats
  for await (const folds of peerFolds(view, open)) {
    const known = await view.store.getMany(
      folds.map(({ peer }) => keys.seen(only as number, peer)),
      view.snapshot,
    )
    folds.forEach(({ firstMs, lastMs }, i) => {
      if (known[i] === undefined) peers++
      see(firstMs, lastMs)
    })
  }
  return result(peers)
}

/** Of one round. */
async function countsOf(view: View, scope: readonly Scope[]): Promise<SwarmCounts> {
  const [part] = scope as [Scope]
  const { round } = part
  if (scope.length === 1 && 'sealed' in part) {
    const value = await view.store.get(keys.wireRound(part), view.snapshot)
    const { peers, byEvidence, seeds, leeches } = fromJson<WireRoundRow>(value as Buffer, 'counts')
    return { round, peers, byEvidence, seeds, leeches }
  }
  const counts = noPeers()
  for await (const folds of peerFolds(view, scope)) for (const fold of folds) countPeer(counts, fold)
  return { round, ...counts }
}

export async function* swarmSeries(view: View, swarm: InfoHash): AsyncGenerator<SeriesPoint> {
  const torrent = await view.torrents.find(swarm, view.snapshot)
  if (torrent === undefined) return
  const rounds = new Map<number, Scope[]>()
  for (const part of await scopeOf(view, torrent)) {
    rounds.set(part.round, [...(rounds.get(part.round) ?? []), part])
  }
  for (const number of [...rounds.keys()].sort((a, b) => a - b)) {
    const row = await view.round(number)
    if (row === undefined) continue
    const { startedMs, endedMs } = row
    yield { ...(await countsOf(view, rounds.get(number) as Scope[])), startedMs, endedMs }
  }
}

export async function torrentDetails(view: View, hash: InfoHash): Promise<TorrentDetails | undefined> {
  const torrent = await view.torrents.find(hash, view.snapshot)
  if (torrent === undefined) return undefined
  const { wires: _, metadataFrom, ...rest } = torrent
  const from = metadataFrom === null ? undefined : (await view.book.entriesOf([metadataFrom])).get(metadataFrom)
  const last = new Map<number, StoredTrackerReport>()
  for (const part of await scopeOf(view, torrent)) {
    const source =
      'rows' in part
        ? part.rows.store.rows(ranges.reports(part.wire), { snapshot: part.rows.snapshot })
        : part.sealed.week.rows(ranges.sealedReports(part))
    for await (const rows of source) {
      for (const [key, value] of rows) {
        const { tracker, atMs } = parseReportKey(key)
        const known = last.get(tracker)
        if (known !== undefined && known.atMs > atMs) continue
        last.set(tracker, { ...fromJson<TrackerReport>(value, 'a tracker report'), atMs, round: part.round })
      }
    }
  }
  return { ...rest, metadataFrom: from?.endpoint ?? null, trackers: [...last.values()] }
}
