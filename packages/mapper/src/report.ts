/** The report of one torrent: the document that `lookup --json` prints, derived from what the round knows. */
import {
  type Channel,
  channels,
  compareEndpoints,
  type Endpoint,
  type Evidence,
  endpointKey,
  evidenceLevels,
  type Geo,
  type LedgerChannel,
  type LedgerEntry,
  type ObservationFlag,
  type Outcome,
  type Place,
  type Role,
  type TorrentFile,
  type TrackerReport,
} from '@swarmatlas/core'
import { OURSELVES } from '@swarmatlas/pex-harvester'
import { type Alias, type CountedPeer, countedPeers } from './aliases.ts'
import { evidenceOfPeer, type Swarm } from './swarm.ts'

/** All times are Unix milliseconds, durations milliseconds, sizes bytes. */
export interface SwarmReport {
  target: string
  startedMs: number
  infoHash: string
  infoHashV2: string | null
  private: boolean
  metadata: MetadataReport | null
  metadataError?: { code: string; message: string }
  /** Sorted by address and port. */
  peers: PeerReport[]
  counts: PeerCounts
  trackers: TrackerReport[]
  completeness: { seen: number; why: string }
  /** Null where several torrents shared one line: the round carries the sum. */
  traffic: TrafficReport | null
  elapsedMs: number
  gaps: { fromMs: number; toMs: number; why: string }[]
  /** Peers that called us and named no listening port, so that no endpoint stands for them. */
  callersWithoutPort?: number
  notices: string[]
}

export interface MetadataReport {
  name: string
  totalBytes: number
  pieceLength: number
  files: readonly TorrentFile[]
  /** Null when the user gave the .torrent file. */
  from: string | null
  afterMs: number
}

export interface PeerReport {
  address: string
  port: number
  peerId: string | null
  flags: ObservationFlag[]
  alsoAt: readonly Alias[]
  channels: Channel[]
  tellers: number
  evidence: Evidence
  sameAs: { address: string; port: number; confidence: number }[]
  inbound: boolean
  role: Role | null
  progress: number | null
  client: string | null
  transport: 'tcp' | 'utp' | null
  encryption: 'plain' | 'mse' | null
  firstSeenMs: number
  lastSeenMs: number
  lastOutcome: Outcome
  place: Place | null
}

export interface PeerCounts {
  peers: number
  byChannel: Partial<Record<Channel, number>>
  byEvidence: Partial<Record<Evidence, number>>
  seeds: number
  leeches: number
  unknownRole: number
}

export interface TrafficReport {
  bytesIn: number
  bytesOut: number
  byChannel: Record<LedgerChannel, LedgerEntry>
}

export interface ReportOptions {
  geo: Pick<Geo, 'place'>
  endedMs: number
  /** True for the endpoint that we announced ourselves. */
  isOwn(endpoint: Endpoint): boolean
  traffic: TrafficReport | null
}

export function reportSwarm(swarm: Swarm, { geo, endedMs, isOwn, traffic }: ReportOptions): SwarmReport {
  const peers = countedPeers(swarm.peers, isOwn)
    .map((counted) => reportPeer(counted, geo))
    .sort(compareEndpoints)
  const { metadata, target } = swarm
  return {
    target: target.text,
    startedMs: swarm.startedMs,
    infoHash: swarm.id,
    infoHashV2: metadata?.info.hashes.v2 ?? target.hashes.v2 ?? null,
    private: swarm.isPrivate,
    metadata:
      metadata === undefined
        ? null
        : {
            name: metadata.info.name,
            totalBytes: metadata.info.totalBytes,
            pieceLength: metadata.info.pieceLength,
            files: metadata.info.files,
            from: metadata.from === null ? null : endpointKey(metadata.from),
            afterMs: metadata.afterMs,
          },
    ...(metadata === undefined ? { metadataError: metadataError(swarm, peers) } : {}),
    peers,
    counts: countPeers(peers),
    trackers: swarm.trackers,
    completeness: {
      seen: peers.length,
      why: 'what was not seen cannot be estimated from one pass, which has no second to compare with',
    },
    traffic,
    elapsedMs: endedMs - swarm.startedMs,
    gaps: [],
    ...(swarm.callersWithoutPort > 0 && { callersWithoutPort: swarm.callersWithoutPort }),
    notices:
      swarm.overflow > 0
        ? [
            ...swarm.notices,
            `${swarm.overflow} further namings of peers were not kept: the cap on peers of one swarm was reached`,
          ]
        : swarm.notices,
  }
}

function reportPeer({ peer, alsoAt }: CountedPeer, geo: Pick<Geo, 'place'>): PeerReport {
  const { endpoint, visit } = peer
  return {
    address: endpoint.address,
    port: endpoint.port,
    peerId: visit?.peerId ?? null,
    flags: [...peer.flags],
    alsoAt,
    channels: channels.filter((channel) => peer.channels.has(channel)),
    tellers: peer.witnesses.size,
    evidence: evidenceOfPeer(peer),
    sameAs: [],
    inbound: peer.channels.has('inbound'),
    role: visit?.role ?? null,
    progress: visit?.progress ?? null,
    client: visit?.client ?? null,
    transport: visit?.opened ? visit.transport : null,
    encryption: visit?.handshaken ? visit.encryption : null,
    firstSeenMs: peer.firstSeenMs,
    lastSeenMs: peer.lastSeenMs,
    lastOutcome: peer.lastOutcome,
    place: geo.place(endpoint),
  }
}

export function countPeers(peers: readonly Pick<PeerReport, 'channels' | 'evidence' | 'role'>[]): PeerCounts {
  const byChannel: Partial<Record<Channel, number>> = {}
  const byEvidence: Partial<Record<Evidence, number>> = {}
  for (const level of evidenceLevels) {
    const count = peers.filter((peer) => peer.evidence === level).length
    if (count > 0) byEvidence[level] = count
  }
  for (const channel of channels) {
    const count = peers.filter((peer) => peer.channels.includes(channel)).length
    if (count > 0) byChannel[channel] = count
  }
  const seeds = peers.filter((peer) => peer.role === 'seed').length
  const leeches = peers.filter((peer) => peer.role === 'leech' || peer.role === 'partial').length
  return { peers: peers.length, byChannel, byEvidence, seeds, leeches, unknownRole: peers.length - seeds - leeches }
}

function metadataError(swarm: Swarm, peers: readonly PeerReport[]): { code: string; message: string } {
  if (swarm.metadataProblem !== undefined) return { code: 'bad-metadata', message: swarm.metadataProblem }
  if (peers.length === 0) return { code: 'no-peers', message: 'no peer was found that could have it' }
  const handshaken = peers.filter((peer) => peer.evidence === 'handshaken' || peer.evidence === 'role-known').length
  return handshaken === 0
    ? { code: 'nobody-answered', message: `none of ${peers.length} peers answered` }
    : { code: 'nobody-had-it', message: `none of the ${handshaken} peers that answered gave it in time` }
}

export function reportTraffic(totals: Record<LedgerChannel, LedgerEntry>): TrafficReport {
  const all = Object.values(totals)
  return {
    bytesIn: all.reduce((sum, entry) => sum + entry.bytesIn, 0),
    bytesOut: all.reduce((sum, entry) => sum + entry.bytesOut, 0),
    byChannel: totals,
  }
}

/**
 * Recognises ourselves: a port of ours, announced or dialled from, at an address that peers see us at or that we are
 * bound to.
 */
export function ownEndpoints(
  swarms: readonly Swarm[],
  ports: ReadonlySet<number>,
  bind: string | undefined,
): (endpoint: Endpoint) => boolean {
  const addresses = new Set(bind === undefined ? [] : [bind])
  for (const swarm of swarms) {
    for (const { visit } of swarm.peers.values()) {
      if (visit?.yourIp !== undefined) addresses.add(visit.yourIp)
      // While we listen we can reach ourselves.
      if (visit?.detail === OURSELVES) addresses.add(visit.peer.address)
    }
  }
  return (endpoint) => ports.has(endpoint.port) && addresses.has(endpoint.address)
}
