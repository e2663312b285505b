/** A swarm of known truth: DHT nodes, trackers and peers on any host's seams, and what a perfect mapper would find. */
import { endpointKey, type Host, type HostPort, type Logger, silentLogger, wireHashes } from '@swarmatlas/core'
import { type Closers, createClosers } from './closers.ts'
import { createCounters, type SimCounters } from './counters.ts'
import { openDht } from './dht-network.ts'
import { openHttpTracker } from './http-tracker.ts'
import { checkOptions, DEFAULT_ADDRESS, type SimChannel, type SimSwarmOptions, type SimTorrentSpec } from './options.ts'
import { createPrng } from './prng.ts'
import { type MadeTorrent, makeTorrent } from './torrent-maker.ts'
import { openPeers, type SimPeer, swarmsOf } from './torrent-peers.ts'
import { createTrackerList } from './tracker-list.ts'
import { openUdpTracker } from './udp-tracker.ts'

export interface SimTorrent extends MadeTorrent {
  readonly spec: SimTorrentSpec
  /** Announce URLs. */
  readonly trackers: readonly string[]
  readonly peers: readonly SimPeer[]
  /** endpointKeys of the peers that are alive, silent ones too. */
  readonly truth: ReadonlySet<string>
}

export interface SimSwarm extends AsyncDisposable {
  readonly bootstrap: HostPort[]
  readonly torrents: readonly SimTorrent[]
  readonly counters: Readonly<SimCounters>
  /** Idempotent. Leaves no socket, listener or timer. */
  close(): Promise<void>
}

/** Everything but the ports, which the system chooses, follows from `options.seed`. */
export async function startSimSwarm(
  { host, logger = silentLogger }: { host: Host; logger?: Logger },
  options: SimSwarmOptions,
): Promise<SimSwarm> {
  checkOptions(options)
  const closers = createClosers()
  try {
    return await start(host, logger, closers, options)
  } catch (error) {
    await closers.close()
    throw error
  }
}

async function start(host: Host, logger: Logger, closers: Closers, options: SimSwarmOptions): Promise<SimSwarm> {
  const { address = DEFAULT_ADDRESS, dhtNodes: live, deadDhtNodes: dead = 0 } = options
  const prng = createPrng(options.seed)
  const counters = createCounters()
  const { udp, tcp, clock } = host
  const dht = await openDht({ udp, counters, closers, prng: prng.derive('dht') }, { address, live, dead })
  const httpList = createTrackerList({ counters, prng: prng.derive('http tracker') })
  const udpList = createTrackerList({ counters, prng: prng.derive('udp tracker') })
  const trackers: string[] = []
  if (options.httpTracker) trackers.push(await openHttpTracker({ tcp, list: httpList, counters, closers }, { address }))
  if (options.udpTracker) {
    const components = { udp, clock, list: udpList, counters, closers, prng: prng.derive('udp tracker ids') }
    trackers.push(await openUdpTracker(components, { address }))
  }

  const torrents: SimTorrent[] = []
  const leaving: (() => Promise<void>)[] = []
  for (const [index, spec] of options.torrents.entries()) {
    const own = prng.derive(`torrent ${index}`)
    const made = makeTorrent(spec, trackers, own.derive('info'))
    const components = { tcp, clock, counters, closers, prng: own }
    const { peers, leave } = await openPeers(components, { address, spec, made })
    leaving.push(leave)
    for (const hash of wireHashes(made.hashes)) {
      const listed = (channel: SimChannel) =>
        peers.filter(({ spec }) => spec.via.includes(channel) && swarmsOf(spec, made.hashes).includes(hash))
      const withRole = (peer: SimPeer) => ({ endpoint: peer.endpoint, seed: peer.spec.role === 'seed' })
      dht.store(
        hash,
        listed('dht').map((peer) => peer.endpoint),
      )
      httpList.register(hash, listed('tracker').map(withRole))
      udpList.register(hash, listed('udp-tracker').map(withRole))
    }
    const truth = new Set(peers.filter((peer) => peer.alive).map((peer) => endpointKey(peer.endpoint)))
    torrents.push({ ...made, spec, trackers, peers, truth })
  }
  // Last, so that no other part of the swarm is given one of their ports.
  await Promise.all(leaving.map((leave) => leave()))

  const peers = torrents.reduce((sum, torrent) => sum + torrent.peers.length, 0)
  logger.info('simulated swarm listens', { dhtNodes: live, deadDhtNodes: dead, trackers: trackers.length, peers })
  return {
    bootstrap: dht.bootstrap,
    torrents,
    counters,
    close: () => closers.close(),
    [Symbol.asyncDispose]: () => closers.close(),
  }
}
