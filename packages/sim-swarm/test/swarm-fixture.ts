/** A swarm with two torrents on real loopback: one open and hybrid, one private. */
import { type Host, type InfoHash, infoHashBytes, SwarmatlasError, wireHashes } from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { type SimChannel, type SimSwarm, type SimTorrent, type SimTorrentSpec, startSimSwarm } from '../src/index.ts'

const open: SimTorrentSpec = {
  name: 'Открытый 公開',
  version: 'hybrid',
  pieceLength: 16_384,
  files: [
    { path: 'b/写真.jpg', bytes: 20_000_001 },
    { path: 'a.txt', bytes: 5 },
    { path: 'empty', bytes: 0 },
  ],
  peers: [
    { name: 'dht', role: 'leech', progress: 0, via: ['dht'] },
    { name: 'http', role: 'leech', progress: 0.999_999, via: ['tracker'] },
    { name: 'udp', role: 'seed', via: ['udp-tracker'] },
    { name: 'hub', role: 'seed', via: ['dht', 'tracker', 'pex'], client: 'qBittorrent/4.6.5' },
    { name: 'pex', role: 'partial', progress: 0.5, via: ['pex'], client: 'aria2/1.37.0' },
    { name: 'pex-leech', role: 'leech', via: ['pex'] },
    { name: 'down', role: 'seed', via: ['dht', 'tracker', 'udp-tracker', 'pex'], down: true },
    { name: 'silent', role: 'seed', via: ['tracker'], silent: true },
  ],
}

const hidden: SimTorrentSpec = {
  name: 'private.iso',
  private: true,
  pieceLength: 262_144,
  files: [{ path: 'private.iso', bytes: 1_000_000 }],
  peers: [
    { name: 'one', role: 'seed', via: ['tracker'] },
    { name: 'two', role: 'leech', via: ['tracker', 'udp-tracker'] },
  ],
}

export function startFixture(host: Host = nodeHost()): Promise<SimSwarm> {
  return startSimSwarm(
    { host },
    { dhtNodes: 60, deadDhtNodes: 15, httpTracker: true, udpTracker: true, seed: 7, torrents: [open, hidden] },
  )
}

/** endpoint texts of the peers with this channel in their spec, dead ones too. */
export function listedIn(torrent: SimTorrent, channel: SimChannel): Set<string> {
  return new Set(
    torrent.peers
      .filter((peer) => peer.spec.via.includes(channel))
      .map(({ endpoint }) => `${endpoint.address}:${endpoint.port}`),
  )
}

export function hashOf(torrent: SimTorrent, index = 0): Uint8Array {
  return infoHashBytes(wireHashes(torrent.hashes)[index] as InfoHash)
}

export function peerNamed(torrent: SimTorrent, name: string): SimTorrent['peers'][number] {
  const found = torrent.peers.find((peer) => peer.spec.name === name)
  if (found === undefined) throw new SwarmatlasError('BAD_OPTION', `no peer ${name}`)
  return found
}
