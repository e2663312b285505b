/** A peer graph in memory, with addresses that a test can search for. */
import {
  createPseudonyms,
  type Endpoint,
  type Evidence,
  edgeKindOf,
  type GraphEdge,
  type GraphFilter,
  type GraphPeer,
  type GraphRound,
  type GraphSwarm,
  type GraphTeller,
  type GraphView,
  type InfoHash,
  type InfoHashV2,
  type Place,
  type Pseudonyms,
} from '@swarmatlas/core'

export const pseudonyms: Pseudonyms = createPseudonyms(new Uint8Array(32).fill(5))

export const TORRENT: InfoHash = 'a'.repeat(40) as InfoHash
const OTHER: InfoHash = 'b'.repeat(40) as InfoHash
const PASSKEY = '0123456789abcdef0123456789abcdef'

export function placeOf(country: string, asn: number | null = 3215, city: string | null = null): Place {
  const point = city === null ? { lat: null, lon: null, radiusKm: null } : { lat: 48.86, lon: 2.35, radiusKm: 20 }
  return { country, region: null, city, ...point, asn, asName: null }
}

export interface PeerSpec {
  readonly torrent?: InfoHash
  readonly endpoint: Endpoint
  readonly place?: Place | null
  readonly client?: string
  readonly evidence?: Evidence
  readonly role?: 'seed' | 'leech'
}

export function peerOf({
  torrent = TORRENT,
  endpoint,
  place = null,
  client,
  evidence = 'role-known',
  role = 'leech',
}: PeerSpec): GraphPeer {
  const answered = evidence === 'handshaken' || evidence === 'role-known'
  const visit = {
    atMs: 2_000,
    swarm: torrent,
    outcome: answered ? ('ok' as const) : ('timeout' as const),
    opened: answered,
    handshaken: answered,
    refuted: evidence === 'refuted',
    transport: 'tcp' as const,
    encryption: 'plain' as const,
    peerId: '2d5452343035302d303030303030303030303030',
    ...(client === undefined ? {} : { client }),
    ...(evidence === 'role-known' ? { role, progress: role === 'seed' ? 1 : 0.25 } : {}),
    pexAdded: 0,
    durationMs: 10,
    bytesIn: 100,
    bytesOut: 100,
  }
  return {
    torrent,
    endpoint,
    pseudonym: pseudonyms.ofEndpoint(endpoint),
    place,
    channels: ['dht', 'pex'],
    tellers: 2,
    evidence,
    firstSeenMs: 1_795_400_000_000,
    lastSeenMs: 1_795_400_060_000,
    flags: [],
    lastVisit: visit,
    lastAnswer: answered ? visit : null,
    rounds: 1,
  }
}

function tellerOf(kind: 'dht-node' | 'peer', endpoint: Endpoint): GraphTeller {
  return { kind, endpoint, pseudonym: pseudonyms.ofEndpoint(endpoint) }
}

function edgeOf(teller: GraphTeller, peer: GraphPeer): GraphEdge {
  const channel =
    teller.kind === 'dht-node'
      ? 'dht'
      : teller.kind === 'tracker'
        ? 'tracker'
        : teller.kind === 'peer'
          ? 'pex'
          : 'magnet'
  return {
    torrent: peer.torrent,
    teller,
    peer: { endpoint: peer.endpoint, pseudonym: peer.pseudonym },
    kind: edgeKindOf(channel),
    channel,
    firstSeenMs: 1_795_400_000_000,
    lastSeenMs: 1_795_400_060_000,
    count: 3,
    flags: [],
    pex:
      channel === 'pex'
        ? { prefersEncryption: false, seed: true, utp: true, holepunch: false, reachable: false }
        : null,
  }
}

export function graphOf(parts: {
  peers: readonly GraphPeer[]
  edges?: readonly GraphEdge[]
  rounds?: readonly GraphRound[]
  names?: Readonly<Record<string, string>>
}): GraphView {
  const { peers, edges = [], rounds = [roundOf(1, 1_795_400_000_000, 1_795_400_060_000)], names = {} } = parts
  const inSwarm =
    ({ swarm, round, ...rest }: GraphFilter) =>
    ({ torrent }: { torrent: InfoHash }) => {
      // A store may know further conditions, which nobody here means.
      if (Object.keys(rest).length > 0) throw new Error(`asked for ${JSON.stringify(rest)}`)
      return (swarm === undefined || torrent === swarm) && (round === undefined || round === 1 || round === 'latest')
    }
  const torrents = [...new Set(peers.map(({ torrent }) => torrent))]
  return {
    async *rounds() {
      yield* rounds
    },
    async *swarms() {
      yield* torrents.map(
        (infoHash): GraphSwarm => ({
          infoHash,
          infoHashV2: 'c'.repeat(64) as InfoHashV2,
          name: names[infoHash] ?? 'ubuntu.iso',
          totalBytes: 5_000_000_000,
          files: 1,
          private: false,
          firstSeenMs: 1_795_400_000_000,
          lastSeenMs: 1_795_400_060_000,
          rounds: 1,
          peers: peers.filter(inSwarm({ swarm: infoHash })).length,
          latest: { round: 1, seeds: 1, leeches: 2 },
        }),
      )
    },
    async *peers(filter) {
      yield* peers.filter(inSwarm(filter))
    },
    async *edges(filter) {
      yield* edges.filter(inSwarm(filter))
    },
  }
}

export function roundOf(number: number, startedMs: number, endedMs: number | null): GraphRound {
  return {
    number,
    startedMs,
    endedMs,
    reason: endedMs === null ? null : 'nothing-new',
    vantage: 'ip-10-1-2-3.lab.example',
    command: 'map --list /home/someone/list.txt',
    swarms: 1,
    peers: 3,
    observations: 9,
  }
}

/** `n` hosts of one network. */
export function endpointsOf(n: number, prefix: string = '198.51.100'): Endpoint[] {
  return Array.from({ length: n }, (_, i) => ({ address: `${prefix}.${i + 1}`, port: 51_000 + i }))
}

/** Two swarms with tellers of every kind, whose peers, names and clients try what a hostile network would. */
export function hostileGraph(): { view: GraphView; secrets: readonly string[]; endpoints: readonly Endpoint[] } {
  const french = endpointsOf(7)
  const [first] = french as [Endpoint]
  const six: Endpoint = { address: '2001:db8:77:1::5', port: 6881 }
  const node: Endpoint = { address: '203.0.113.77', port: 6881 }
  const outsider: Endpoint = { address: '203.0.113.99', port: 40_000 }
  const hearsay: Endpoint = { address: '203.0.113.55', port: 41_000 }
  const clients = [
    '=HYPERLINK("http://evil.example","x")',
    '@SUM(1)',
    'a "b", c\r\nd',
    '<script>&',
    '+1 203.0.113.42',
    'ok',
    'ok',
  ]
  const peers = [
    ...french.map((endpoint, i) =>
      peerOf({ endpoint, place: placeOf('FR', 3215, 'Paris'), client: clients[i] as string }),
    ),
    peerOf({ endpoint: six, place: placeOf('LI'), client: 'rare/1.0' }),
    peerOf({ endpoint: hearsay, place: placeOf('FR'), evidence: 'hearsay' }),
    peerOf({ endpoint: first, torrent: OTHER, place: placeOf('FR', 3215, 'Paris'), client: 'ok', role: 'seed' }),
  ]
  const tellers: GraphTeller[] = [
    tellerOf('dht-node', node),
    tellerOf('peer', first),
    tellerOf('peer', outsider),
    { kind: 'tracker', url: `https://tracker.example/${PASSKEY}/announce?passkey=${PASSKEY}` },
    { kind: 'tracker', url: 'udp://203.0.113.88:6969/announce' },
    { kind: 'tracker', url: 'http://[2001:db8:88::1]:6969/announce' },
    { kind: 'self' },
  ]
  const edges = peers.flatMap((peer) => tellers.map((teller) => edgeOf(teller, peer)))
  const view = graphOf({
    peers,
    edges,
    names: { [TORRENT]: '=cmd|calc at 203.0.113.42:99\u0007\u202e', [OTHER]: 'ubuntu <&> "iso"' },
    rounds: [roundOf(1, 1_795_400_000_000, 1_795_400_060_000), roundOf(2, 1_795_407_200_000, null)],
  })
  const endpoints = [...french, six, node, outsider, hearsay]
  const secrets = [
    ...endpoints.map(({ address }) => address),
    '203.0.113.88',
    '2001:db8:88::1',
    '203.0.113.42',
    'ip-10-1-2-3',
    PASSKEY,
    '/home/someone',
    '2d5452343035302d',
  ]
  return { view, secrets, endpoints }
}
