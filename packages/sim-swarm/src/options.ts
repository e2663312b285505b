/** What a simulated swarm is asked to be. */
import { canonicalAddress, familyOf, SwarmatlasError } from '@swarmatlas/core'

/** Where a peer can be found. */
export type SimChannel = 'dht' | 'tracker' | 'udp-tracker' | 'pex'

export interface SimPeerSpec {
  /** Unique in its torrent. */
  name: string
  /** `options.address` when undefined. */
  address?: string
  role: 'seed' | 'leech' | 'partial'
  /** Share of pieces, 0..1, of a leech or partial seed. */
  progress?: number
  via: readonly SimChannel[]
  /** The name it gives itself (`v`, BEP 10); its peer id follows. Undefined: it gives none. */
  client?: string
  /** Known to others, but nothing listens: refused. */
  down?: boolean
  /** Accepts TCP and says nothing. */
  silent?: boolean
  /** Of a hybrid: it is in the swarm of this version alone. */
  swarm?: 'v1' | 'v2'
  /** Offers metadata, but sends false bytes or never answers a request. */
  metadata?: 'false' | 'withheld'
  /** Who it is connected to, and thus named by over PEX: some hubs (when `via` has `pex`), or peers by name. */
  pexConnected?: 'hubs' | readonly string[]
}

export interface SimTorrentSpec {
  name: string
  /** Paths below the torrent's name, parts joined by `/`. One file whose path is the name makes a single-file torrent. */
  files: readonly { path: string; bytes: number }[]
  /** Bytes; for v2 and hybrid a power of two from 16 KiB (BEP 52). */
  pieceLength: number
  /** BEP 27: known to trackers alone. */
  private?: boolean
  /** Its peers do not keep to that: they are in the DHT and exchange peers. */
  leaky?: boolean
  /** v1 when undefined. */
  version?: 'v1' | 'v2' | 'hybrid'
  peers: readonly SimPeerSpec[]
}

export interface SimSwarmOptions {
  /** Where all listen that name no address of their own; 127.0.0.1 when undefined. */
  address?: string
  /** Nodes that answer; 0: no DHT. */
  dhtNodes: number
  /** Nodes beside them that the others know but that never answer. */
  deadDhtNodes?: number
  torrents: readonly SimTorrentSpec[]
  httpTracker?: boolean
  udpTracker?: boolean
  seed: number
}

export const DEFAULT_ADDRESS = '127.0.0.1'

/** Throws BAD_OPTION for a swarm that cannot be as described. */
export function checkOptions(options: SimSwarmOptions): void {
  const address = options.address ?? DEFAULT_ADDRESS
  require(canonicalAddress(address) === address, `${address} is no canonical address`)
  require(Number.isInteger(options.dhtNodes) && options.dhtNodes >= 0, 'dhtNodes is a count')
  for (const torrent of options.torrents) {
    const { pieceLength } = torrent
    require(torrent.files.length > 0, `${torrent.name} has no file`)
    require(Number.isInteger(pieceLength) && pieceLength > 0, `${torrent.name} has a bad piece length`)
    if ((torrent.version ?? 'v1') !== 'v1') {
      const valid = pieceLength >= 16_384 && Number.isInteger(Math.log2(pieceLength))
      require(valid, `${torrent.name} is v2: its piece length is a power of two from 16 KiB`)
    }
    const names = new Set(torrent.peers.map((peer) => peer.name))
    require(names.size === torrent.peers.length, `${torrent.name} has two peers of one name`)
    for (const peer of torrent.peers) {
      const at = `${torrent.name}: ${peer.name}`
      const own = peer.address ?? address
      require(canonicalAddress(own) === own, `${at}: ${own} is no canonical address`)
      require(peer.via.length > 0, `${at} is in no channel`)
      require(peer.swarm === undefined || torrent.version === 'hybrid', `${at}: the torrent has one swarm only`)
      const open = peer.via.includes('dht') || peer.via.includes('pex') || peer.pexConnected !== undefined
      require(!(torrent.private && !torrent.leaky && open), `${at}: a private torrent has neither DHT nor PEX`)
      require(!peer.via.includes('dht') || options.dhtNodes > 0, `${at} is in the DHT, but there is none`)
      require(!peer.via.includes('tracker') || options.httpTracker === true, `${at}: there is no HTTP tracker`)
      require(!peer.via.includes('udp-tracker') || options.udpTracker === true, `${at}: there is no UDP tracker`)
      const compact = peer.via.includes('dht') || peer.via.includes('udp-tracker')
      require(!compact || familyOf(own) === familyOf(address), `${at}: DHT and UDP tracker carry one family`)
      if (Array.isArray(peer.pexConnected)) {
        for (const other of peer.pexConnected) require(names.has(other), `${at} is connected to unknown ${other}`)
      }
    }
  }
}

function require(met: boolean, problem: string): void {
  if (!met) throw new SwarmatlasError('BAD_OPTION', `simulated swarm: ${problem}`)
}
