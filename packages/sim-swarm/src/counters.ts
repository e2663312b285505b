/** What the swarm saw of its visitors. A well-behaved mapper leaves the counters of the last group at 0. */
import type { InfoHash } from '@swarmatlas/core'

export interface SimCounters {
  /** Well-formed KRPC queries, by `address:port` of the node asked. */
  readonly dhtQueriesByNode: Map<string, number>
  /** get_peers queries by the hash asked for. */
  readonly dhtGetPeersByHash: Map<InfoHash, number>
  /** Queries without `ro: 1` (BEP 43). */
  dhtQueriesNotReadOnly: number
  /** Datagrams that are no KRPC query. */
  dhtMalformed: number
  /** Accepted announce_peer. */
  dhtAnnounces: number

  /** Answered announces of both trackers, `stopped` included. */
  trackerAnnounces: number
  trackerStopped: number
  /** Hashes scraped. */
  trackerScrapes: number
  /** Requests answered by a failure, or not at all. */
  trackerRefused: number

  peerConnections: number
  /** Connections now open. */
  peerConnectionsOpen: number
  /** The most that were open at once. */
  peerConnectionsPeak: number
  /** Handshakes with a right info-hash. */
  peerHandshakes: number
  /** Connections the peer itself ended: not BitTorrent, a foreign hash, a message too long. */
  peerRejected: number
  metadataRequests: number
  pexSent: number

  interestedReceived: number
  /** Requests for content. */
  pieceRequestsReceived: number
  /** Content, have or bitfield: claims to be more than a visitor. */
  pieceClaimsReceived: number
  pexReceived: number
}

export function createCounters(): SimCounters {
  return {
    dhtQueriesByNode: new Map(),
    dhtGetPeersByHash: new Map(),
    dhtQueriesNotReadOnly: 0,
    dhtMalformed: 0,
    dhtAnnounces: 0,
    trackerAnnounces: 0,
    trackerStopped: 0,
    trackerScrapes: 0,
    trackerRefused: 0,
    peerConnections: 0,
    peerConnectionsOpen: 0,
    peerConnectionsPeak: 0,
    peerHandshakes: 0,
    peerRejected: 0,
    metadataRequests: 0,
    pexSent: 0,
    interestedReceived: 0,
    pieceRequestsReceived: 0,
    pieceClaimsReceived: 0,
    pexReceived: 0,
  }
}
