/** Events: what happens in a round, as data. The same objects feed progress lines, `--ndjson`, logs and the dashboard. */
import type { Endpoint } from './endpoint.ts'
import type { InfoHash } from './infohash.ts'
import type { TorrentInfo } from './metainfo.ts'
import type { Channel, Observation } from './observation.ts'
import type { Outcome, Visit } from './visit.ts'

/** What an announce or scrape of one tracker came to. */
export interface TrackerReport {
  /** Without secrets. */
  readonly url: string
  readonly outcome: Outcome
  /** The tracker's own words, or what went wrong. */
  readonly detail?: string
  /** `complete`, `incomplete` and `downloaded` as the tracker says. */
  readonly seeds?: number
  readonly leeches?: number
  readonly downloads?: number
  /** Endpoints it listed. */
  readonly peers: number
  readonly intervalS?: number
}

/** One pass over the DHT for one wire hash. */
export interface LookupSummary {
  readonly queries: number
  readonly replies: number
  /** Nodes that held peers for the hash. */
  readonly holders: number
  /** Distinct endpoints named. */
  readonly peers: number
  readonly durationMs: number
}

/** `torrent` is the first wire hash of the torrent that the event is about. */
export type SwarmatlasEvent = { readonly atMs: number } & (
  | { readonly type: 'round-started'; readonly round: number; readonly swarms: number }
  | { readonly type: 'swarm-started'; readonly torrent: InfoHash; readonly target: string }
  | { readonly type: 'bootstrapped'; readonly nodes: number; readonly afterMs: number }
  /** The first time that anybody names this endpoint. */
  | {
      readonly type: 'peer'
      readonly torrent: InfoHash
      readonly peer: Endpoint
      readonly channel: Channel
      readonly total: number
    }
  | ({ readonly type: 'observation'; readonly torrent: InfoHash } & Observation)
  | ({ readonly type: 'visit'; readonly torrent: InfoHash } & Visit)
  | ({ readonly type: 'tracker'; readonly torrent: InfoHash } & TrackerReport)
  | ({ readonly type: 'lookup'; readonly torrent: InfoHash; readonly swarm: InfoHash } & LookupSummary)
  | {
      readonly type: 'metadata'
      readonly torrent: InfoHash
      readonly info: TorrentInfo
      readonly from: Endpoint | null
      readonly afterMs: number
    }
  | {
      readonly type: 'metadata-rejected'
      readonly torrent: InfoHash
      readonly from: Endpoint
      readonly problem: string
    }
  /** Something the user should know: no bootstrap node answered, a private torrent went over the DHT before its metadata came. */
  | { readonly type: 'notice'; readonly torrent?: InfoHash; readonly code: string; readonly message: string }
  | { readonly type: 'swarm-ended'; readonly torrent: InfoHash; readonly reason: EndReason; readonly peers: number }
  | { readonly type: 'round-ended'; readonly round: number; readonly reason: EndReason }
)

export type EndReason = 'nothing-new' | 'deadline' | 'interrupted'
