/** What one tracker lists, whatever the protocol: its peers by construction, and clients that announced and did not stop. */
import { type Endpoint, endpointKey, type InfoHash } from '@swarmatlas/core'
import { bounds } from './bounds.ts'
import type { SimCounters } from './counters.ts'
import type { Prng } from './prng.ts'

interface Listed {
  readonly endpoint: Endpoint
  readonly seed: boolean
}

interface Announce {
  readonly hash: InfoHash
  /** Address the announce came from, with the port that it names. */
  readonly client: Endpoint
  readonly left: number
  readonly stopped: boolean
  readonly numwant: number | undefined
}

/** The numbers of a scrape (BEP 48). */
interface Figures {
  readonly complete: number
  readonly incomplete: number
  readonly downloaded: number
}

export interface TrackerList {
  /** Registers a hash with the peers it shall have. */
  register(hash: InfoHash, peers: readonly Listed[]): void
  /** Undefined for a hash that is not registered. */
  announce(announce: Announce): (Figures & { peers: Endpoint[] }) | undefined
  scrape(hash: InfoHash): Figures | undefined
}

export function createTrackerList({ counters, prng }: { counters: SimCounters; prng: Prng }): TrackerList {
  const swarms = new Map<InfoHash, { peers: readonly Listed[]; clients: Map<string, Listed> }>()

  function figures(hash: InfoHash): Figures | undefined {
    const swarm = swarms.get(hash)
    if (swarm === undefined) return undefined
    const all = [...swarm.peers, ...swarm.clients.values()]
    const complete = all.filter((peer) => peer.seed).length
    return { complete, incomplete: all.length - complete, downloaded: complete }
  }

  return {
    register(hash, peers) {
      swarms.set(hash, { peers, clients: new Map() })
    },
    announce({ hash, client, left, stopped, numwant = bounds.trackerNumwant }) {
      const swarm = swarms.get(hash)
      if (swarm === undefined) {
        counters.trackerRefused++
        return undefined
      }
      counters.trackerAnnounces++
      if (stopped) counters.trackerStopped++
      const key = endpointKey(client)
      if (stopped) swarm.clients.delete(key)
      else if (client.port > 0 && swarm.clients.size < bounds.trackerClients) {
        swarm.clients.set(key, { endpoint: client, seed: left === 0 })
      }
      const others = [...swarm.peers, ...swarm.clients.values()].filter((peer) => endpointKey(peer.endpoint) !== key)
      const wanted = stopped ? 0 : Math.min(Math.max(numwant, 0), bounds.trackerNumwantCeiling)
      const peers = prng.sample(others, wanted).map((peer) => peer.endpoint)
      return { ...(figures(hash) as Figures), peers }
    },
    scrape(hash) {
      const found = figures(hash)
      if (found !== undefined) counters.trackerScrapes++
      return found
    },
  }
}
