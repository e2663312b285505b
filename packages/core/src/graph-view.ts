/** The peer graph as analysis, pictures and exports read it: derived records, in streams, never written to. */
import type { Endpoint } from './endpoint.ts'
import type { EndReason } from './events.ts'
import type { Evidence } from './evidence.ts'
import type { InfoHash, InfoHashV2 } from './infohash.ts'
import type { Channel, EdgeKind, ObservationFlag, PexFlags } from './observation.ts'
import type { Place } from './place.ts'
import type { Visit } from './visit.ts'

export interface GraphFilter {
  /** Any wire hash of the torrent. */
  readonly swarm?: InfoHash | undefined
  /** `latest`: the last round of the store. */
  readonly round?: number | 'latest' | undefined
}

/** Somebody who stands, or stood, behind an endpoint. */
export interface GraphParty {
  /** Null when the address has expired or was forgotten. */
  readonly endpoint: Endpoint | null
  /** The same for the same endpoint as long as the study's key lives; see pseudonym.ts. */
  readonly pseudonym: string
}

/** A visit without what may hold an address. */
export type GraphVisit = Omit<Visit, 'peer' | 'detail' | 'yourIp'>

/** One peer of one torrent, over all rounds that were asked for. */
export interface GraphPeer extends GraphParty {
  /** The first wire hash of the torrent. */
  readonly torrent: InfoHash
  /** As it was when its last round was sealed; null when no database knew it. */
  readonly place: Place | null
  readonly channels: readonly Channel[]
  /** Distinct tellers. */
  readonly tellers: number
  readonly evidence: Evidence
  readonly firstSeenMs: number
  readonly lastSeenMs: number
  readonly flags: readonly ObservationFlag[]
  readonly lastVisit: GraphVisit | null
  /** The latest visit with a handshake; one that learnt its role goes before one that did not. */
  readonly lastAnswer: GraphVisit | null
  /** Rounds that name or visited it. */
  readonly rounds: number
}

export type GraphTeller =
  | ({ readonly kind: 'dht-node' | 'peer' } & GraphParty)
  | { readonly kind: 'tracker'; readonly url: string }
  | { readonly kind: 'self' }

/** Who told us of whom, over all rounds that were asked for. */
export interface GraphEdge {
  readonly torrent: InfoHash
  readonly teller: GraphTeller
  readonly peer: GraphParty
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

export interface GraphRound {
  readonly number: number
  readonly startedMs: number
  /** Null: still open, or cut short by a crash. */
  readonly endedMs: number | null
  readonly reason: EndReason | null
  readonly vantage: string
  readonly command: string
  readonly swarms: number
  /** Peers, each counted once per torrent. */
  readonly peers: number
  readonly observations: number
}

export interface GraphSwarm {
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
  readonly latest: { readonly round: number; readonly seeds: number; readonly leeches: number } | null
}

/** Every stream is of one snapshot and comes in the same order each time. */
export interface GraphView {
  rounds(): AsyncIterable<GraphRound>
  swarms(): AsyncIterable<GraphSwarm>
  peers(filter: GraphFilter): AsyncIterable<GraphPeer>
  edges(filter: GraphFilter): AsyncIterable<GraphEdge>
}
