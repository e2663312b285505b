/** The peers of one torrent: what each has, who is connected to whom, and where they can be found. */
import { type Endpoint, endpointKey, type Host, type InfoHash, type TorrentHashes, wireHashes } from '@swarmatlas/core'
import { peerIdOf } from './client-ids.ts'
import type { Closers } from './closers.ts'
import type { SimCounters } from './counters.ts'
import type { SimChannel, SimPeerSpec, SimTorrentSpec } from './options.ts'
import { type ListeningPeer, openPeer } from './peer.ts'
import type { Persona } from './peer-session.ts'
import { connect } from './pex-graph.ts'
import type { Prng } from './prng.ts'
import type { MadeTorrent } from './torrent-maker.ts'

export interface SimPeer {
  readonly spec: SimPeerSpec
  readonly endpoint: Endpoint
  /** 40 hex digits. */
  readonly peerId: string
  /** Where it can be found in truth: what the spec says, and `pex` for hubs, which those connected to them name. */
  readonly via: readonly SimChannel[]
  /** Something listens there. */
  readonly alive: boolean
  /** Share of pieces it has, 0..1. */
  readonly progress: number
  /** Whom it names over PEX: endpointKeys. */
  readonly connectedTo: ReadonlySet<string>
}

/** Flags of a peer that is named (BEP 11). */
const PEX_SEED = 0x02
const PEX_REACHABLE = 0x10

/** Share of pieces where the spec names none. */
const DEFAULT_PROGRESS = { seed: 1, partial: 0.5, leech: 0.4 } as const

/** `leave` ends those that are to be down; until then they hold their ports. */
export async function openPeers(
  components: Pick<Host, 'tcp' | 'clock'> & { counters: SimCounters; closers: Closers; prng: Prng },
  {
    address,
    spec: { peers: specs, leaky = false },
    made,
  }: { address: string; spec: SimTorrentSpec; made: MadeTorrent },
): Promise<{ peers: SimPeer[]; leave(): Promise<void> }> {
  const named = connect(specs, components.prng.derive('connections'))
  const opened = await Promise.all(
    specs.map(async (spec) => {
      const prng = components.prng.derive(`peer ${spec.name}`)
      const persona = personaOf(spec, { made, leaky, prng })
      const options = { address: spec.address ?? address, silent: spec.silent === true, persona }
      return { spec, persona, listening: await openPeer(components, options) }
    }),
  )

  const connections = named.map((others) => [...others].map((other) => opened[other] as (typeof opened)[number]))
  const everNamed = new Set(connections.flat())
  const peers = opened.map((peer, index): SimPeer => {
    const { spec, persona, listening } = peer
    const connected = connections[index] ?? []
    listening.know(connected.map((other) => ({ endpoint: other.listening.endpoint, flags: flagsOf(other.spec) })))
    return {
      spec,
      endpoint: listening.endpoint,
      peerId: Buffer.from(persona.peerId).toString('hex'),
      via: everNamed.has(peer) && !spec.via.includes('pex') ? [...spec.via, 'pex'] : spec.via,
      alive: !spec.down,
      progress: persona.pieces.filter(Boolean).length / persona.pieces.length,
      connectedTo: new Set(connected.map((other) => endpointKey(other.listening.endpoint))),
    }
  })
  const down: ListeningPeer[] = opened.filter(({ spec }) => spec.down).map(({ listening }) => listening)
  return {
    peers,
    async leave() {
      await Promise.all(down.map((peer) => peer.close()))
    },
  }
}

/** The wire hashes that a peer is found under. */
export function swarmsOf({ swarm }: SimPeerSpec, hashes: TorrentHashes): InfoHash[] {
  const [v1, v2] = wireHashes(hashes)
  return [swarm === 'v2' ? undefined : v1, swarm === 'v1' ? undefined : v2].filter((hash) => hash !== undefined)
}

function personaOf(
  spec: SimPeerSpec,
  { made, leaky, prng }: { made: MadeTorrent; leaky: boolean; prng: Prng },
): Omit<Persona, 'listenPort'> {
  const { info, infoBytes, hashes } = made
  return {
    hashes: swarmsOf(spec, hashes),
    peerId: peerIdOf(spec.client, prng),
    client: spec.client,
    pieces: piecesOf(spec, info.pieceCount, prng),
    uploadOnly: spec.role !== 'leech',
    infoBytes: spec.metadata === 'false' ? falsified(infoBytes) : infoBytes,
    withholdsMetadata: spec.metadata === 'withheld',
    private: info.private && !leaky,
  }
}

/** As long as the true one, and with another hash. */
function falsified(infoBytes: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(infoBytes)
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1
  return bytes
}

/** Only a seed has all: whoever is near the end still lacks one. */
function piecesOf(spec: SimPeerSpec, count: number, prng: Prng): boolean[] {
  const share = spec.role === 'seed' ? 1 : (spec.progress ?? DEFAULT_PROGRESS[spec.role])
  const held = spec.role === 'seed' ? count : Math.max(0, Math.min(Math.floor(share * count), count - 1))
  const indexes = new Set(prng.sample([...Array(count).keys()], held))
  return Array.from({ length: count }, (_, index) => indexes.has(index))
}

function flagsOf(spec: SimPeerSpec): number {
  return (spec.role === 'leech' ? 0 : PEX_SEED) | (spec.down ? 0 : PEX_REACHABLE)
}
