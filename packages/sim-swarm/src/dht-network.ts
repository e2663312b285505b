/** The DHT of the swarm: nodes that know each other as if they had met, and hold the peers of its torrents. */
import { type Endpoint, type Host, type HostPort, type InfoHash, infoHashBytes } from '@swarmatlas/core'
import { bounds } from './bounds.ts'
import type { Closers } from './closers.ts'
import type { SimCounters } from './counters.ts'
import { openDhtNode } from './dht-node.ts'
import type { Prng } from './prng.ts'
import { closest, sortedById, tableOf } from './routing.ts'

export interface SimDht {
  readonly bootstrap: HostPort[]
  /** Stores the peers at the nodes nearest to the hash that are alive, where a perfect announce would put them. */
  store(hash: InfoHash, peers: readonly Endpoint[]): void
}

export async function openDht(
  components: { udp: Host['udp']; counters: SimCounters; prng: Prng; closers: Closers },
  { address, live, dead }: { address: string; live: number; dead: number },
): Promise<SimDht> {
  const { prng, closers } = components
  const nodes = await Promise.all(
    Array.from({ length: live + dead }, async (_, index) => {
      const own = prng.derive(`node ${index}`)
      const node = await openDhtNode({ ...components, prng: own }, { address, id: own.bytes(20), dead: index >= live })
      closers.add(() => node.close())
      return { node, own }
    }),
  )
  const sorted = sortedById(nodes.map(({ node }) => node.contact))
  for (const { node, own } of nodes) node.know(tableOf(node.contact, sorted, own))
  const alive = new Map(nodes.slice(0, live).map(({ node }) => [node.contact, node]))
  const contacts = [...alive.keys()]
  return {
    bootstrap: contacts
      .slice(0, bounds.dhtBootstrapNodes)
      .map(({ endpoint }) => ({ host: endpoint.address, port: endpoint.port })),
    store(hash, peers) {
      if (peers.length === 0) return
      for (const holder of closest(infoHashBytes(hash), contacts, bounds.dhtHolders)) {
        alive.get(holder)?.store(hash, peers)
      }
    },
  }
}
