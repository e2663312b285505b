/** The peer graph as core's GraphView: with peers and tellers whose addresses have expired. */
import type { GraphEdge, GraphTeller, GraphView } from '@swarmatlas/core'
import type { AnyEdgeRecord, PeerGraph } from './types.ts'

export function graphViewOf(graph: Pick<PeerGraph, 'rounds' | 'swarms' | 'peers' | 'edges'>): GraphView {
  return {
    rounds: () => graph.rounds(),
    swarms: () => graph.swarms(),
    peers: (filter) => graph.peers({ ...filter, expired: true }),
    async *edges(filter) {
      for await (const record of graph.edges({ ...filter, expired: true })) yield edgeOf(record)
    },
  }
}

function edgeOf(record: AnyEdgeRecord): GraphEdge {
  const { torrent, peer, peerPseudonym, kind, channel, firstSeenMs, lastSeenMs, count, flags, pex } = record
  const party = { endpoint: peer, pseudonym: peerPseudonym }
  const teller = tellerOf(record)
  return { torrent, teller, peer: party, kind, channel, firstSeenMs, lastSeenMs, count, flags, pex }
}

function tellerOf({ teller, tellerKind, tellerPseudonym }: AnyEdgeRecord): GraphTeller {
  if (tellerKind === 'self') return { kind: 'self' }
  if (tellerKind === 'tracker') return { kind: 'tracker', url: teller?.kind === 'tracker' ? teller.url : '' }
  const endpoint = teller !== null && 'endpoint' in teller ? teller.endpoint : null
  return { kind: tellerKind, endpoint, pseudonym: tellerPseudonym ?? '' }
}
