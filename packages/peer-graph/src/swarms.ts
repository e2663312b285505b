/** Torrents, derived: what they are, and what their rounds found. */
import { type Evidence, evidenceLevels, type InfoHash, type TrackerReport } from '@swarmatlas/core'
import { fromJson } from './json-row.ts'
import { peerFolds, peerRecords } from './peers.ts'
import { parseReportKey, ranges } from './schema.ts'
import { type View, wireRoundsOf } from './scope.ts'
import type { StoredTrackerReport, SwarmCounts, SwarmSummary, TorrentDetails } from './types.ts'

export async function* swarmSummaries(view: View): AsyncGenerator<SwarmSummary> {
  for await (const torrent of view.torrents.all(view.snapshot)) {
    const { wireHashes, hashes, metadata } = torrent
    const infoHash = wireHashes[0] as InfoHash
    const scope = await wireRoundsOf(view, torrent)
    let peers = 0
    let firstMs = Number.POSITIVE_INFINITY
    let lastMs = Number.NEGATIVE_INFINITY
    for await (const folds of peerFolds(view, scope)) {
      peers += folds.length
      for (const fold of folds) {
        firstMs = Math.min(firstMs, fold.firstMs)
        lastMs = Math.max(lastMs, fold.lastMs)
      }
    }
    const rounds = new Set(scope.map(({ round }) => round))
    yield {
      infoHash,
      infoHashV2: hashes.v2 ?? null,
      name: metadata?.name ?? null,
      totalBytes: metadata?.totalBytes ?? null,
      files: metadata?.files.length ?? null,
      private: metadata?.private ?? false,
      firstSeenMs: Number.isFinite(firstMs) ? firstMs : null,
      lastSeenMs: Number.isFinite(lastMs) ? lastMs : null,
      rounds: rounds.size,
      peers,
      latest: rounds.size === 0 ? null : await countsOf(view, infoHash, Math.max(...rounds)),
    }
  }
}

async function countsOf(view: View, swarm: InfoHash, round: number): Promise<SwarmCounts> {
  const byEvidence = Object.fromEntries(evidenceLevels.map((level) => [level, 0])) as Record<Evidence, number>
  let [peers, seeds, leeches] = [0, 0, 0]
  for await (const { evidence, lastAnswer } of peerRecords(view, { swarm, round })) {
    peers++
    byEvidence[evidence]++
    if (lastAnswer?.role === 'seed') seeds++
    // Partial seeds (BEP 21) want no more, but lack pieces: leeches in every count.
    else if (lastAnswer?.role !== undefined) leeches++
  }
  return { round, peers, byEvidence, seeds, leeches }
}

export async function torrentDetails(view: View, hash: InfoHash): Promise<TorrentDetails | undefined> {
  const torrent = await view.torrents.find(hash, view.snapshot)
  if (torrent === undefined) return undefined
  const { wires: _, metadataFrom, ...rest } = torrent
  const from = metadataFrom === null ? undefined : (await view.book.entriesOf([metadataFrom])).get(metadataFrom)
  const last = new Map<number, StoredTrackerReport>()
  for (const { round, wire } of await wireRoundsOf(view, torrent)) {
    for await (const rows of view.store.rows(ranges.reports(round, wire), { snapshot: view.snapshot })) {
      for (const [key, value] of rows) {
        const { tracker, atMs } = parseReportKey(key)
        const known = last.get(tracker)
        if (known !== undefined && known.atMs > atMs) continue
        last.set(tracker, { ...fromJson<TrackerReport>(value, 'a tracker report'), atMs, round })
      }
    }
  }
  return { ...rest, metadataFrom: from?.endpoint ?? null, trackers: [...last.values()] }
}
