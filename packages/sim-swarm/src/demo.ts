/** The swarm that `swarmatlas demo` starts: small enough for any laptop, with one peer for each way of being found. */
import type { SimChannel, SimPeerSpec, SimSwarmOptions } from './options.ts'

const MIB = 1_048_576

/** How many peers are found which way. A tracker alone, the DHT alone and PEX alone each have some that no other channel has. */
const WAYS: readonly { count: number; via: readonly SimChannel[] }[] = [
  { count: 6, via: ['dht'] },
  { count: 5, via: ['tracker'] },
  { count: 5, via: ['udp-tracker'] },
  { count: 6, via: ['pex'] },
  { count: 6, via: ['dht', 'tracker'] },
  { count: 4, via: ['tracker', 'udp-tracker'] },
  { count: 4, via: ['dht', 'pex'] },
  { count: 4, via: ['dht', 'tracker', 'udp-tracker', 'pex'] },
]

const CLIENTS: readonly string[] = [
  'qBittorrent/4.6.5',
  'Transmission 4.0.5',
  'µTorrent 3.5.5',
  'qBittorrent/5.0.2',
  'Deluge/2.1.1',
  'libtorrent/2.0.10.0',
  'aria2/1.37.0',
  'Transmission 3.00',
  'BiglyBT 3.6.0.0',
  'rTorrent 0.9.8',
]

const DEAD: readonly SimPeerSpec[] = [
  { name: 'dead-1', role: 'leech', via: ['dht'], down: true },
  { name: 'dead-2', role: 'seed', via: ['tracker'], down: true },
  { name: 'dead-3', role: 'leech', via: ['udp-tracker', 'pex'], down: true },
]

export function demoSwarmOptions(): SimSwarmOptions {
  const ways = WAYS.flatMap(({ count, via }) => Array<readonly SimChannel[]>(count).fill(via))
  const living = ways.map((via, index): SimPeerSpec => {
    const client = CLIENTS[index % CLIENTS.length] as string
    const name = `peer-${String(index + 1).padStart(2, '0')}`
    if (index === 20) return { name, via, client, role: 'partial', progress: 0.6 }
    // Every third peer seeds; the others are anywhere between nothing and nearly all.
    return index % 3 === 0
      ? { name, via, client, role: 'seed' }
      : { name, via, client, role: 'leech', progress: ((index * 7) % 20) / 20 }
  })
  return {
    dhtNodes: 40,
    deadDhtNodes: 6,
    httpTracker: true,
    udpTracker: true,
    seed: 20_261_122,
    torrents: [
      {
        name: 'Swarmatlas demo: lights of the world',
        pieceLength: MIB,
        files: [
          { path: 'README.txt', bytes: 1_742 },
          { path: 'Photos/Europe/Zürich, Bahnhofstraße.jpg', bytes: 6_291_456 },
          { path: '写真/東京の夜景.jpg', bytes: 8_912_896 },
          { path: '照片/上海外滩.jpg', bytes: 7_340_032 },
          { path: '사진/서울의 밤.jpg', bytes: 5_767_168 },
          { path: 'Film/Lights of the world (1080p).mkv', bytes: 188_743_680 },
        ],
        peers: [...living, ...DEAD],
      },
    ],
  }
}
