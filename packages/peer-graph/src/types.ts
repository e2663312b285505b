/** What goes into the peer graph and what comes out of it. */
import type {
  Channel,
  EdgeKind,
  Endpoint,
  EndReason,
  Evidence,
  GraphView,
  InfoHash,
  InfoHashV2,
  Observation,
  ObservationFlag,
  PexFlags,
  Place,
  Role,
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
export interface AnyPeerRecord {
  /** The first wire hash of the torrent. */
  readonly torrent: InfoHash
  /** Null when it has expired. */
  readonly endpoint: Endpoint | null
  /** 32 hex digits: the same for the same endpoint, as long as the study key lives. */
  readonly pseudonym: string
  /** As it was when the latest of the rounds was sealed; null before, and where nobody knew it. */
  readonly place: Place | null
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

export type PeerRecord = AnyPeerRecord & { readonly endpoint: Endpoint }

/** Who told us of whom, over all rounds that were asked for. */
export interface AnyEdgeRecord {
  readonly torrent: InfoHash
  /** Null when its address has expired. */
  readonly teller: Teller | null
  readonly tellerKind: Teller['kind']
  /** Of peers and DHT nodes; null for trackers and ourselves. */
  readonly tellerPseudonym: string | null
  readonly tellerPlace: Place | null
  /** Null when it has expired. */
  readonly peer: Endpoint | null
  readonly peerPseudonym: string
  readonly peerPlace: Place | null
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

export type EdgeRecord = AnyEdgeRecord & { readonly teller: Teller; readonly peer: Endpoint }

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

export interface SealOptions {
  readonly atMs: number
  readonly reason: EndReason
  /** Places of the round's peers and tellers, stored with it: they stay when addresses expire. */
  readonly placeOf?: ((endpoint: Endpoint) => Place | null) | undefined
}

export interface RoundWriter {
  readonly number: number
  /** Puts or updates. A torrent that is already known by any of its wire hashes stays one torrent. */
  torrent(record: TorrentRecord): void
  /** `torrent` is any wire hash of the torrent; the observation says which swarm it came by. */
  observation(torrent: InfoHash, observation: Observation): void
  visit(torrent: InfoHash, visit: Visit): void
  tracker(torrent: InfoHash, report: TrackerReport): void
  /**
   * Resolves when the buffer has room and the store has space (see StoreSpace). Rejects when the store cannot be written;
   * what is buffered stays buffered.
   */
  ready(options?: { signal?: AbortSignal | undefined }): Promise<void>
  /** Resolves when all that was given so far survives kill -9 (not a loss of power). */
  flush(): Promise<void>
  /** Flushes and ends the round, which takes nothing more, and turns it into blocks. Idempotent. */
  seal(options: SealOptions): Promise<void>
}

export interface PeerFilter {
  readonly swarm?: InfoHash | undefined
  /** `latest`: the last round of the store. */
  readonly round?: number | 'latest' | undefined
  /** Seen at that time or later, and at that time or before. */
  readonly sinceMs?: number | undefined
  readonly untilMs?: number | undefined
  readonly channel?: Channel | undefined
  /** Any of these. */
  readonly evidence?: readonly Evidence[] | undefined
  /** Of its last answer. */
  readonly role?: Role | undefined
  /** Part of the name that it gave in its last answer, whatever the case. */
  readonly client?: string | undefined
  /** ISO 3166-1 alpha-2, of the sealed place. */
  readonly country?: string | undefined
  readonly asn?: number | undefined
  /** `203.0.113.0/24` or `2001:db8::/32`: of peers whose address has not expired. */
  readonly cidr?: string | undefined
  /** Those whose address has expired, too; false when undefined. */
  readonly expired?: boolean | undefined
}

export interface EdgeFilter
  extends Pick<PeerFilter, 'swarm' | 'round' | 'sinceMs' | 'untilMs' | 'channel' | 'expired'> {
  readonly toldBy?: Endpoint | undefined
  readonly toldOf?: Endpoint | undefined
}

export interface SwarmDifference {
  readonly torrent: InfoHash
  /** Peers of the later round that the earlier one does not hold, the other way round, and those of both. */
  readonly firstSeen: number
  readonly noLongerSeen: number
  readonly stayed: number
}

export interface PeerChange {
  readonly torrent: InfoHash
  readonly change: 'first seen' | 'no longer seen' | 'stayed'
  readonly endpoint: Endpoint | null
  readonly pseudonym: string
  readonly place: Place | null
}

export type SharedPeer = Pick<PeerChange, 'endpoint' | 'pseudonym' | 'place'>

/** What a round found in a swarm. */
export interface SeriesPoint extends SwarmCounts {
  readonly startedMs: number
  readonly endedMs: number | null
}

/** Why we know of an endpoint. */
export interface Explanation {
  readonly endpoint: Endpoint
  readonly pseudonym: string
  readonly torrents: readonly TorrentExplanation[]
}

export interface TorrentExplanation {
  readonly torrent: InfoHash
  readonly record: AnyPeerRecord
  /** First and last of all rounds that hold it. */
  readonly firstRound: number
  readonly lastRound: number
  /** What was read for this: up to limits.explainRounds of its rounds, the first and the latest. */
  readonly roundsRead: readonly number[]
  /** Who told of it, the first one first. */
  readonly tellers: readonly AnyEdgeRecord[]
  /** Who told of it first, who told of that teller first, and so on back. */
  readonly chain: readonly AnyEdgeRecord[]
}

/** What was done to the store besides writing rounds. */
export type StoreEvent = { readonly number: number; readonly atMs: number } & StoreAct

export type StoreAct =
  | { readonly kind: 'expired'; readonly weeks: readonly string[]; readonly addresses: number }
  | { readonly kind: 'forgotten'; readonly endpoints: number }
  | { readonly kind: 'pruned'; readonly rounds: readonly number[]; readonly swarm: InfoHash | null }
  | { readonly kind: 'rebuilt'; readonly rounds: number; readonly notRedone: number }
  | { readonly kind: 'study key destroyed' }
  | { readonly kind: 'paused'; readonly why: PauseReason }
  | { readonly kind: 'resumed' }

export type PauseReason = 'free space' | 'size'

export interface RebuildReport {
  readonly rounds: number
  /** Peers and tellers whose place was looked up again. */
  readonly redone: number
  /** Those that keep what they had, because their address has expired. */
  readonly notRedone: number
}

export interface PruneReport {
  readonly rounds: readonly number[]
  readonly freedBytes: number
}

/** Something that verify found, in words. */
export interface Damage {
  readonly path: string
  readonly what: string
}

/** Queries see what was flushed when they started. Maintenance waits for its turn between writes. */
export interface PeerGraph extends AsyncDisposable {
  readonly dir: string
  /** Begins a round. The writer is flushed at the latest when the graph closes. */
  startRound(options: { atMs: number; vantage: string; command: string }): Promise<RoundWriter>
  rounds(): AsyncGenerator<RoundSummary>
  swarms(): AsyncGenerator<SwarmSummary>
  /** By torrent, then by peer number: the order in which endpoints were first met. */
  peers(filter: PeerFilter & { readonly expired: true }): AsyncGenerator<AnyPeerRecord>
  peers(filter: PeerFilter): AsyncGenerator<PeerRecord>
  edges(filter: EdgeFilter & { readonly expired: true }): AsyncGenerator<AnyEdgeRecord>
  edges(filter: EdgeFilter): AsyncGenerator<EdgeRecord>
  torrent(hash: InfoHash): Promise<TorrentDetails | undefined>
  /** Undefined when nobody named it, or its address has expired. */
  explain(endpoint: Endpoint): Promise<Explanation | undefined>
  /** Between two rounds, for each swarm that one of them holds. */
  difference(
    earlier: number,
    later: number,
    options?: { swarm?: InfoHash | undefined },
  ): AsyncGenerator<SwarmDifference>
  /** The same, peer by peer. */
  changes(earlier: number, later: number, options?: { swarm?: InfoHash | undefined }): AsyncGenerator<PeerChange>
  /** Peers of both swarms, over all rounds. */
  shared(a: InfoHash, b: InfoHash): AsyncGenerator<SharedPeer>
  /** By round. */
  series(swarm: InfoHash): AsyncGenerator<SeriesPoint>
  /** For analysis, pictures and exports; holds peers whose address has expired. */
  readonly view: GraphView

  /** Removes all endpoints of an address with their pseudonyms and places. Facts keep the number, which stands for nobody. */
  forget(address: string): Promise<{ endpoints: number }>
  /** Drops raw addresses of weeks that ended so long ago; limits.addressRetentionMs when undefined. */
  expire(options?: { olderThanMs?: number | undefined }): Promise<{ weeks: readonly string[]; addresses: number }>
  /** Removes sealed rounds that began so long ago, or of a swarm, or that one's old rounds. One of the two must be given. */
  prune(options: { olderThanMs?: number | undefined; swarm?: InfoHash | undefined }): Promise<PruneReport>
  /** Computes anew all that is derived; places, too, where `placeOf` is given. */
  rebuild(options?: { placeOf?: SealOptions['placeOf'] }): Promise<RebuildReport>
  /** Reads every byte. */
  verify(): AsyncGenerator<Damage>
  /** Nobody can link the pseudonyms of expired addresses to addresses afterwards. */
  destroyStudyKey(): Promise<void>
  events(): AsyncGenerator<StoreEvent>
  /** Idempotent. */
  close(): Promise<void>
}
