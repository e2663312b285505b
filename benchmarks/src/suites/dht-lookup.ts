/** Who of a swarm is found in the DHT, how fast and at what cost: our crawler beside bittorrent-dht alone. */
import {
  createAddressPolicy,
  createGate,
  endpointKey,
  type HostPort,
  type InfoHash,
  infoHashBytes,
  profiles,
  silentLogger,
  wireHashes,
} from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { createDhtCrawler } from '@swarmatlas/dht-crawler'
import { type SimPeerSpec, type SimTorrent, startSimSwarm } from '@swarmatlas/sim-swarm'
import DHT from 'bittorrent-dht'
import { startMeasuring } from '../cost.ts'
import type { Suite, Work } from '../suite.ts'

interface DhtWorld {
  readonly bootstrap: readonly HostPort[]
  readonly swarms: readonly { infoHash: InfoHash; truth: readonly string[] }[]
}

const NODES = 300
const DEAD_NODES = 60
const SWARMS = 8
const PEERS = 60
const LIMIT_MS = 60_000
/** IPv4 and UDP. */
const HEADER_BYTES = 28

export const dhtLookup: Suite = {
  name: 'dht-lookup',
  describes: `${SWARMS} swarms of ${PEERS} peers looked up at once in a DHT of ${NODES} nodes and ${DEAD_NODES} dead ones on loopback; recall of the peers that the DHT holds`,
  contenders: ['swarmatlas', 'bittorrent-dht'],

  async openWorld(seed) {
    const peers = Array.from(
      { length: PEERS },
      (_, i): SimPeerSpec => ({ name: `peer-${i}`, role: 'leech', via: ['dht'], down: true }),
    )
    const torrents = Array.from({ length: SWARMS }, (_, i) => ({
      name: `swarm ${i}`,
      pieceLength: 16_384,
      files: [{ path: 'file', bytes: 65_536 }],
      peers,
    }))
    const swarm = await startSimSwarm(
      { host: nodeHost() },
      { dhtNodes: NODES, deadDhtNodes: DEAD_NODES, torrents, seed },
    )
    const description: DhtWorld = {
      bootstrap: swarm.bootstrap,
      swarms: swarm.torrents.map((torrent) => ({
        infoHash: wireHashes(torrent.hashes)[0] as InfoHash,
        truth: stored(torrent),
      })),
    }
    return { description, close: () => swarm.close() }
  },

  run(contender, world) {
    return contender === 'swarmatlas' ? runOurs(world as DhtWorld) : runBittorrentDht(world as DhtWorld)
  },
}

function stored(torrent: SimTorrent): string[] {
  return torrent.peers.map((peer) => endpointKey(peer.endpoint))
}

async function runOurs({ bootstrap, swarms }: DhtWorld): Promise<Work> {
  const host = nodeHost()
  const { clock, random } = host
  const meter = { count() {} }
  const policy = createAddressPolicy({ clock }, { profile: profiles.lab, allowPrivate: true })
  const gate = createGate({ host, policy, meter })
  const cost = startMeasuring()
  const signal = AbortSignal.timeout(LIMIT_MS)
  await using crawler = await createDhtCrawler(
    { gate, clock, random, logger: silentLogger, meter },
    { bootstrap, concurrency: profiles.lab.dhtConcurrency },
  )
  await crawler.bootstrap({ signal })
  const recalls = await Promise.all(
    swarms.map(async ({ infoHash, truth }) => {
      const found = new Set<string>()
      for await (const { peer } of crawler.getPeers(infoHash, { signal })) found.add(endpointKey(peer))
      return share(found, truth)
    }),
  )
  const { dht } = gate.ledger.totals()
  const bytes = dht.bytesIn + dht.bytesOut - HEADER_BYTES * (dht.packetsIn + dht.packetsOut)
  return { ...cost(), figures: { recall: mean(recalls), 'payload bytes': bytes } }
}

async function runBittorrentDht({ bootstrap, swarms }: DhtWorld): Promise<Work> {
  const cost = startMeasuring()
  const dht = new DHT({ bootstrap: bootstrap.map(({ host, port }) => `${host}:${port}`) })
  await new Promise<void>((ready) => dht.once('ready', ready))
  const found = new Map<string, Set<string>>(swarms.map(({ infoHash }) => [infoHash, new Set()]))
  dht.on('peer', (peer: { host: string; port: number }, infoHash: Uint8Array) => {
    found.get(Buffer.from(infoHash).toString('hex'))?.add(`${peer.host}:${peer.port}`)
  })
  await Promise.all(
    swarms.map(
      ({ infoHash }) => new Promise<void>((done) => dht.lookup(Buffer.from(infoHashBytes(infoHash)), () => done())),
    ),
  )
  const spent = cost()
  await new Promise<void>((done) => dht.destroy(done))
  const recalls = swarms.map(({ infoHash, truth }) => share(found.get(infoHash) as Set<string>, truth))
  return { ...spent, figures: { recall: mean(recalls) } }
}

function share(found: ReadonlySet<string>, truth: readonly string[]): number {
  return truth.filter((key) => found.has(key)).length / truth.length
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
