/**
 * The privacy filter: the only way from the peer graph into a file. Writers get rows from here and never see the graph.
 * What it leaves out and why stands in PRIVACY.md.
 */
import {
  addressBytes,
  addressFromBytes,
  type Evidence,
  endpointKey,
  evidenceLevels,
  familyOf,
  type GraphEdge,
  type GraphFilter,
  type GraphParty,
  type GraphPeer,
  type GraphRound,
  type GraphSwarm,
  type GraphTeller,
  type GraphView,
  type InfoHash,
  limits,
  type PexFlags,
  type Place,
  type Pseudonyms,
  prefixOf,
  printable,
  redactUrl,
  truncatedV2,
} from '@swarmatlas/core'
import { type Cells, createCells, type Path } from './cells.ts'
import { withoutAddresses, withoutHostAddress, withoutPaths } from './redaction.ts'
import { type Detail, generalised, type Row, type TableName } from './tables.ts'

export interface PrivacyOptions extends GraphFilter {
  readonly detail: Detail
  /** The weakest evidence that is exported; `refuted` only where this is `hearsay`. */
  readonly evidence: Exclude<Evidence, 'refuted'>
}

export interface PrivacyComponents {
  readonly view: GraphView
  readonly pseudonyms: Pseudonyms
}

export interface TableRow {
  readonly table: TableName
  readonly row: Row
}

/** A peer as a map counts it: its place is cut to what enough hosts share. */
export interface PlacedPeer {
  readonly country: string | null
  readonly city: string | null
  /** Degrees, WGS 84. */
  readonly lat: number | null
  readonly lon: number | null
  readonly role: string | null
}

export interface PrivateRows {
  /** The rounds, then swarm by swarm its row, its peers and its edges. */
  rows(options: { signal: AbortSignal }): AsyncGenerator<TableRow>
  places(options: { signal: AbortSignal }): AsyncGenerator<PlacedPeer>
}

const NOWHERE = { country: null, city: null, lat: null, lon: null }

export function createPrivateRows({ view, pseudonyms }: PrivacyComponents, options: PrivacyOptions): PrivateRows {
  const { detail, evidence, swarm, round } = options
  const all: GraphFilter = { swarm, round }
  const raw = detail === 'addresses'
  const merges = detail === 'pseudonyms'
  const weakest = evidenceLevels.indexOf(evidence)

  const isExported = (peer: GraphPeer) =>
    peer.evidence === 'refuted' ? evidence === 'hearsay' : evidenceLevels.indexOf(peer.evidence) >= weakest

  const nameOf = ({ endpoint, pseudonym }: GraphParty) => (raw && endpoint !== null ? endpointKey(endpoint) : pseudonym)
  const wordsOf = (text: string) => (raw ? printable(text) : withoutAddresses(text))

  async function* peersOf(filter: GraphFilter, signal: AbortSignal): AsyncGenerator<GraphPeer> {
    for await (const peer of view.peers(filter)) {
      signal.throwIfAborted()
      if (isExported(peer)) yield peer
    }
  }

  async function cellsOf(pathOf: (peer: GraphPeer) => Path, signal: AbortSignal): Promise<Cells | undefined> {
    if (!merges) return undefined
    const cells = createCells({ k: limits.exportCellHosts, max: limits.exportCells })
    for await (const peer of peersOf(all, signal)) cells.add(pathOf(peer), hostOf(peer))
    return cells
  }

  const clientOf = ({ lastAnswer }: GraphPeer) => (lastAnswer?.client === undefined ? null : wordsOf(lastAnswer.client))
  const attributesOf = (peer: GraphPeer): Path => [peer.place?.country ?? null, peer.place?.asn ?? null, clientOf(peer)]

  function peerRow(peer: GraphPeer, cells: Cells | undefined): Row {
    const { endpoint, lastVisit, lastAnswer } = peer
    const attributes = attributesOf(peer)
    const shown = cells === undefined ? attributes.length : cells.shown(attributes)
    const [country = null, asn = null, client = null] = attributes.slice(0, shown)
    return {
      swarm: peer.torrent,
      peer: nameOf(peer),
      ...(raw
        ? { address: endpoint?.address ?? null, port: endpoint?.port ?? null, peerId: lastAnswer?.peerId ?? null }
        : {}),
      ...(merges ? {} : { prefix: endpoint === null ? null : prefixOf(endpoint.address) }),
      country,
      asn,
      client,
      generalised: generalised[attributes.length - shown] as string,
      evidence: peer.evidence,
      role: lastAnswer?.role ?? null,
      progress: lastAnswer?.progress ?? null,
      channels: peer.channels,
      tellers: peer.tellers,
      rounds: peer.rounds,
      firstSeenMs: peer.firstSeenMs,
      lastSeenMs: peer.lastSeenMs,
      lastOutcome: lastVisit?.outcome ?? 'not-tried',
      transport: lastVisit?.opened ? lastVisit.transport : null,
      encryption: lastAnswer?.encryption ?? null,
      flags: peer.flags,
    }
  }

  function tellerName(teller: GraphTeller): string {
    switch (teller.kind) {
      case 'dht-node':
      case 'peer':
        return nameOf(teller)
      case 'tracker':
        return raw ? redactUrl(teller.url) : withoutHostAddress(teller.url, pseudonyms.ofText)
      case 'self':
        return 'self'
    }
  }

  function edgeRow(edge: GraphEdge): Row {
    return {
      swarm: edge.torrent,
      teller: tellerName(edge.teller),
      tellerKind: edge.teller.kind,
      peer: nameOf(edge.peer),
      kind: edge.kind,
      channel: edge.channel,
      count: edge.count,
      firstSeenMs: edge.firstSeenMs,
      lastSeenMs: edge.lastSeenMs,
      flags: edge.flags,
      pexFlags: edge.pex === null ? null : pexFlagsOf(edge.pex),
    }
  }

  function roundRow({ number, vantage, command, ...row }: GraphRound): Row {
    return {
      round: number,
      startedMs: row.startedMs,
      endedMs: row.endedMs,
      reason: row.reason,
      vantage: raw ? printable(vantage) : pseudonyms.ofText(vantage),
      command: withoutPaths(command),
      swarms: row.swarms,
      peers: row.peers,
      observations: row.observations,
    }
  }

  function swarmRow(swarm: GraphSwarm): Row {
    return {
      swarm: swarm.infoHash,
      infoHashV2: swarm.infoHashV2,
      name: swarm.name === null ? null : wordsOf(swarm.name),
      totalBytes: swarm.totalBytes,
      files: swarm.files,
      private: swarm.private,
      firstSeenMs: swarm.firstSeenMs,
      lastSeenMs: swarm.lastSeenMs,
      rounds: swarm.rounds,
      peers: swarm.peers,
      seeds: swarm.latest?.seeds ?? null,
      leeches: swarm.latest?.leeches ?? null,
    }
  }

  return {
    async *rows({ signal }) {
      for (const found of await roundsOf(view, round)) yield { table: 'rounds', row: roundRow(found) }
      const cells = await cellsOf(attributesOf, signal)
      for await (const found of view.swarms()) {
        if (!isSwarm(found, swarm)) continue
        yield { table: 'swarms', row: swarmRow(found) }
        const filter = { swarm: found.infoHash, round }
        const exported = new Set<string>()
        for await (const peer of peersOf(filter, signal)) {
          exported.add(peer.pseudonym)
          yield { table: 'peers', row: peerRow(peer, cells) }
        }
        if (exported.size === 0) continue
        for await (const edge of view.edges(filter)) {
          signal.throwIfAborted()
          if (exported.has(edge.peer.pseudonym)) yield { table: 'edges', row: edgeRow(edge) }
        }
      }
    },
    async *places({ signal }) {
      const pathOf = ({ place }: GraphPeer): Path => [place?.country ?? null, place === null ? null : pointOf(place)]
      const cells = await cellsOf(pathOf, signal)
      for await (const peer of peersOf(all, signal)) {
        const { place, lastAnswer } = peer
        const shown = cells?.shown(pathOf(peer)) ?? 2
        const { country, city, lat, lon } = place ?? NOWHERE
        yield {
          ...NOWHERE,
          ...(shown > 0 ? { country } : {}),
          ...(shown > 1 ? { city: city === null ? null : printable(city), lat, lon } : {}),
          role: lastAnswer?.role ?? null,
        }
      }
    },
  }
}

/** What is counted as one household: an IPv4 address, or the /64 of an IPv6 address. */
function hostOf({ endpoint, pseudonym }: GraphParty): string {
  if (endpoint === null) return pseudonym
  if (familyOf(endpoint.address) === 4) return endpoint.address
  return addressFromBytes(addressBytes(endpoint.address).fill(0, 8))
}

function pointOf({ region, city, lat, lon }: Place): string | null {
  return lat === null || lon === null ? null : `${region} ${city} ${lat} ${lon}`
}

function pexFlagsOf(pex: PexFlags): string[] {
  return [
    ...(pex.prefersEncryption ? ['prefers-encryption'] : []),
    ...(pex.seed ? ['seed'] : []),
    ...(pex.utp ? ['utp'] : []),
    ...(pex.holepunch ? ['holepunch'] : []),
    ...(pex.reachable ? ['reachable'] : []),
  ]
}

/** The rounds of an export. */
export async function roundsOf(view: GraphView, round: PrivacyOptions['round']): Promise<GraphRound[]> {
  const all: GraphRound[] = []
  for await (const found of view.rounds()) all.push(found)
  if (round === undefined) return all
  return round === 'latest' ? all.slice(-1) : all.filter(({ number }) => number === round)
}

function isSwarm({ infoHash, infoHashV2 }: GraphSwarm, wanted: InfoHash | undefined): boolean {
  return wanted === undefined || wanted === infoHash || (infoHashV2 !== null && truncatedV2(infoHashV2) === wanted)
}
