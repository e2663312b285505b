/** Lookups in a simulated DHT of 20,000 nodes on real sockets (dhtsim): speed, cost and recall beside the alternatives. */
import type { Family } from '@swarmatlas/core'
import { bittorrentDht } from '../dht/bittorrent-dht.ts'
import { type Contender, type Contest, type Depth, enter, trafficFigures } from '../dht/contest.ts'
import { libtorrent, libtorrentUnavailable } from '../dht/libtorrent.ts'
import { localIpv6, localIpv6Unavailable } from '../dht/local-ipv6.ts'
import { nodeDgram } from '../dht/node-dgram.ts'
import { type DhtsimOptions, dhtsimUnavailable, startDhtsim } from '../dht/simulator.ts'
import { swarmatlas } from '../dht/swarmatlas.ts'
import type { Suite } from '../suite.ts'

const CONTENDERS: Readonly<Record<string, Contender>> = {
  swarmatlas,
  'bittorrent-dht': bittorrentDht,
  libtorrent,
  'node-dgram': nodeDgram,
}

interface DhtCase {
  name: string
  depth: Depth
  network: DhtsimOptions & { swarms: number }
  contenders: readonly string[]
  inFlight?: number
  limitMs?: number
  family?: Family
}

const NODES = 20_000
const PEERS = 500
const LOOKUPS = 32
/** Without delay 32 lookups take too short to be measured. */
const LOOKUPS_UNDELAYED = 320
const QUICK_LIMIT_MS = 30_000
const THOROUGH_LIMIT_MS = 120_000
/** Far, and some slow: 80 ms away, 5 % of the nodes answer after 600 ms. */
const FAR = { delay: 80, tail: 5 }

function dhtSuite({
  name,
  depth,
  network,
  contenders,
  inFlight = LOOKUPS,
  limitMs = QUICK_LIMIT_MS,
  family = 4,
}: DhtCase): Suite {
  const families: DhtsimOptions = family === 6 ? { v4: 0, v6: 1 } : {}
  const options = { nodes: NODES, peers: PEERS, ...families, ...network }
  const told = Object.entries(options).map(([option, value]) => `${option} ${value}`)
  return {
    name,
    describes: `${network.swarms} swarms, ${inFlight} lookups at a time, at most ${limitMs / 1000} s; ${told.join(', ')}`,
    contenders,
    unavailable(contender) {
      if (contender === 'libtorrent') return libtorrentUnavailable()
      return contender === undefined
        ? (dhtsimUnavailable() ?? (family === 6 ? localIpv6Unavailable() : undefined))
        : undefined
    },
    async openWorld(seed) {
      const namespace = family === 6 ? localIpv6() : undefined
      const prefix = namespace?.prefix ?? []
      const sim = await startDhtsim({ ...options, seed }, prefix).catch((error) => {
        namespace?.close()
        throw error
      })
      const contest: Contest = { truthFile: sim.truthFile, family, depth, inFlight, limitMs }
      return {
        description: contest,
        prefix,
        figures: async (work) => trafficFigures(await sim.counters(), work, network.swarms),
        async close() {
          await sim.close()
          namespace?.close()
        },
      }
    },
    run: (contender, contest) => enter(CONTENDERS[contender] as Contender, contest as Contest),
  }
}

const ALTERNATIVES = ['swarmatlas', 'bittorrent-dht', 'libtorrent']
const networks = { plain: {}, hard: { hard: 1 }, 'hard-5000': { hard: 1, peers: 5_000 } } as const

export const dhtSimulated: readonly Suite[] = [
  dhtSuite({
    name: 'dht-quick:0',
    depth: 'quick',
    network: { swarms: LOOKUPS_UNDELAYED },
    contenders: [...ALTERNATIVES, 'node-dgram'],
  }),
  ...[20, 50, 70].map((dead) =>
    dhtSuite({
      name: `dht-quick:${dead}`,
      depth: 'quick',
      network: { swarms: LOOKUPS, dead, ...FAR },
      contenders: ALTERNATIVES,
    }),
  ),
  ...Object.entries(networks).flatMap(([kind, network]) =>
    [0, 50].map((dead) =>
      dhtSuite({
        name: `dht-thorough:${kind}-${dead}`,
        depth: 'thorough',
        network: { swarms: LOOKUPS, dead, ...FAR, ...network },
        contenders: ALTERNATIVES,
        limitMs: THOROUGH_LIMIT_MS,
      }),
    ),
  ),
  dhtSuite({
    name: 'dht-96',
    depth: 'quick',
    network: { swarms: 96, dead: 50, ...FAR },
    contenders: ALTERNATIVES,
    inFlight: 96,
    limitMs: 60_000,
  }),
  ...[0, 50].map((dead) =>
    dhtSuite({
      name: `dht-v6:${dead}`,
      depth: 'thorough',
      network: { swarms: LOOKUPS, dead, ...FAR },
      contenders: ['swarmatlas', 'libtorrent'],
      limitMs: THOROUGH_LIMIT_MS,
      family: 6,
    }),
  ),
]
