/** What goes into the peer graph and what comes out of it. */
import type {
  Channel,
  EdgeKind,
  Endpoint,
  EndReason,
  Evidence,
  InfoHash,
  InfoHashV2,
  Observation,
  ObservationFlag,
  PexFlags,
  Teller,
  TorrentHashes,
  TorrentInfo,
  TrackerReport,
  Visit,
} from '@swarmatlas/core'

export interface TorrentRecord {
  readonly hashes: TorrentHashes
  /** As the user named it, passkeys redacted. Addresses in `x.pe` are not stored. */
  readonly target: string
  /** Null until resolved. A later null never erases what is known. */
  readonly metadata: TorrentInfo | null
  /** Who sent the metadata; null when the user gave a .torrent file. */
  readonly metadataFrom: Endpoint | null
}

/** A tracker's answer as stored: addresses in its words are blanked. */
export type StoredTrackerReport = TrackerReport & { readonly atMs: number; readonly round: number }

export interface TorrentDetails extends TorrentRecord {
  /** All wire hashes that it was met under, the first one first. */
  readonly wireHashes: readonly InfoHash[]
  /** The last report of each tracker. */
  readonly trackers: readonly StoredTrackerReport[]
}

/** A visit as stored: its peer is the key; `detail` and `yourIp` are left out, for they may hold addresses. */
export type StoredVisit = Omit<Visit, 'peer' | 'detail' | 'yourIp'>

/** One peer of one torrent, over all rounds that were asked for. */
export interface PeerRecord {
  /** The first wire hash of the torrent. */
  readonly torrent: InfoHash
  readonly endpoint: Endpoint
  readonly channels: readonly Channel[]
  /** Distinct tellers. */
  readonly tellers: number
  readonly evidence: Evidence
  readonly firstSeenMs: number
  readonly lastSeenMs: number
  readonly flags: readonly ObservationFlag[]
  readonly lastVisit: StoredVisit | null
  /** The latest visit with a handshake; one that learnt its role goes before one that did not. */
  readonly lastAnswer: StoredVisit | null
  /** Rounds that name or visited it. */
  readonly rounds: number
  /** The wire hashes that it came by. */
  readonly swarms: readonly InfoHash[]
}

/** Who told us of whom, over all rounds that were asked for. */
export interface EdgeRecord {
  readonly torrent: InfoHash
  readonly teller: Teller
  readonly peer: Endpoint
  readonly kind: EdgeKind
  readonly channel: Channel
  readonly firstSeenMs: number
  readonly lastSeenMs: number
  /** How often it was said. */
  readonly count: number
  readonly flags: readonly ObservationFlag[]
  /** Every PEX flag that was ever set; null when none came. */
  readonly pex: PexFlags | null
}

export interface RoundSummary {
  readonly number: number
  readonly startedMs: number
  /** Null: still open, or cut short by a crash. */
  readonly endedMs: number | null
  readonly reason: EndReason | null
  readonly vantage: string
  readonly command: string
  /** Torrents with at least one fact. */
  readonly swarms: number
  /** Peers, each counted once per torrent. */
  readonly peers: number
  readonly observations: number
}

export interface SwarmCounts {
  readonly round: number
  readonly peers: number
  readonly byEvidence: Readonly<Record<Evidence, number>>
  readonly seeds: number
  readonly leeches: number
}

export interface SwarmSummary {
  readonly infoHash: InfoHash
  readonly infoHashV2: InfoHashV2 | null
  readonly name: string | null
  readonly totalBytes: number | null
  readonly files: number | null
  readonly private: boolean
  /** Null while no peer is known. */
  readonly firstSeenMs: number | null
  readonly lastSeenMs: number | null
  readonly rounds: number
  /** Distinct peers over all rounds. */
  readonly peers: number
  /** Its last round; null when there is none. */
  readonly latest: SwarmCounts | null
}

export interface RoundWriter {
  readonly number: number
  /** Puts or updates. A torrent that is already known by any of its wire hashes stays one torrent. */
  torrent(record: TorrentRecord): void
  /** `torrent` is any wire hash of the torrent; the observation says which swarm it came by. */
  observation(torrent: InfoHash, observation: Observation): void
  visit(torrent: InfoHash, visit: Visit): void
  tracker(torrent: InfoHash, report: TrackerReport): void
  /** Resolves when the buffer has room. Rejects when the store cannot be written; what is buffered stays buffered. */
  ready(): Promise<void>
  /** Resolves when all that was given so far survives kill -9 (not a loss of power). */
  flush(): Promise<void>
  /** Flushes and ends the round, which takes nothing more. Idempotent. */
  seal(options: { atMs: number; reason: EndReason }): Promise<void>
}

export interface PeerFilter {
  readonly swarm?: InfoHash | undefined
  /** `latest`: the last round of the store. */
  readonly round?: number | 'latest' | undefined
}

/** Queries see what was flushed when they started. */
export interface PeerGraph extends AsyncDisposable {
  readonly dir: string
  /** Begins a round. The writer is flushed at the latest when the graph closes. */
  startRound(options: { atMs: number; vantage: string; command: string }): Promise<RoundWriter>
  rounds(): AsyncGenerator<RoundSummary>
  swarms(): AsyncGenerator<SwarmSummary>
  /** By torrent, then by peer number: the order in which endpoints were first met. */
  peers(filter: PeerFilter): AsyncGenerator<PeerRecord>
  edges(filter: PeerFilter): AsyncGenerator<EdgeRecord>
  torrent(hash: InfoHash): Promise<TorrentDetails | undefined>
  /** Idempotent. */
  close(): Promise<void>
}
