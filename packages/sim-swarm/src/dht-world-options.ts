/** What a simulated DHT of thousands of nodes is asked to be. */
import { type Endpoint, type Family, SwarmatlasError } from '@swarmatlas/core'

/**
 * What a planted liar does. Each has an id by which lookups of the swarm it is planted at meet it:
 * - `near-id`: shares 64 bits with the hash, which chance does not bring about; stores nothing
 * - `one-prefix`: so do all of its kind live in one /24 (/48), with ordinary ids near the hash; stores nothing
 * - `victims`: names victims in place of nodes
 * - `low-ports`: names peers on port 1 and 0
 * - `swapped-ports`: an rTorrent, which names the ports of true peers with their bytes swapped
 * - `fabricates`: names invented peers, whatever hash it is asked for
 * - `wrong-id`: answers with another id than it is known by
 */
export type SimLie = 'near-id' | 'one-prefix' | 'victims' | 'low-ports' | 'swapped-ports' | 'fabricates' | 'wrong-id'

export interface SimDhtWorldOptions {
  seed: number | string
  /** Honest nodes, dead ones included. */
  nodes: number
  /** [4] when undefined. A node has one id, and an address in each family. */
  families?: readonly Family[]
  /** Share of nodes that never answer, 0..1. */
  deadShare?: number
  /** Nodes in one /24 or /48; 2 when undefined. */
  nodesPerPrefix?: number
  /** Peers of each swarm. */
  swarms: readonly number[]
  /** Share of peers that are seeds (BEP 33), 0..1; 0.4 when undefined. */
  seedShare?: number
  /**
   * As the real DHT is: announcements went to 8 of the 20 nearest live nodes, tables have holes, a node holds 500 peers
   * of a swarm, sends 8 kB a second, and is deaf to who sends it 50 packets in 10 seconds.
   */
  hard?: boolean
  /** At the first swarm, where `at` names no other by index. */
  liars?: readonly { readonly lie: SimLie; readonly count: number; readonly at?: number }[]
  /** What liars name as nodes; each is named with an id near to the one asked for. */
  victims?: readonly Endpoint[]
}

/** Where the nodes and peers live: give a machine of the network these to be its addresses. */
export const simDhtRanges: Readonly<Record<Family, string>> = { 4: '11.0.0.0/8', 6: '2001:db8::/32' }

/** Private, loopback, broadcast and multicast addresses, service ports, and one host on many ports. */
export const simDhtVictims: readonly Endpoint[] = [
  { address: '10.0.0.1', port: 6881 },
  { address: '192.168.1.1', port: 6881 },
  { address: '127.0.0.1', port: 6881 },
  { address: '169.254.1.1', port: 6881 },
  { address: '0.0.0.0', port: 6881 },
  { address: '255.255.255.255', port: 6881 },
  { address: '224.0.0.1', port: 6881 },
  { address: '14.1.1.1', port: 53 },
  { address: '14.1.1.2', port: 0 },
  ...Array.from({ length: 40 }, (_, index) => ({ address: '14.2.2.2', port: 2_000 + index })),
]

/** Throws BAD_OPTION for a network that cannot be as described. */
export function checkWorldOptions(options: SimDhtWorldOptions): void {
  const { nodes, nodesPerPrefix = 2, deadShare = 0, liars = [], swarms } = options
  require(Number.isInteger(nodes) && nodes >= 1, 'nodes is a count from 1')
  require(nodesPerPrefix >= 1 && nodesPerPrefix <= 254, 'nodesPerPrefix lies between 1 and 254')
  require(nodes / nodesPerPrefix < 32_768, `${nodes} nodes need more than ${nodesPerPrefix} in a prefix`)
  require(deadShare >= 0 && deadShare < 1, 'deadShare lies between 0 and 1')
  for (const { lie, count, at = 0 } of liars) {
    require(count >= 1 && count <= 254, `liars (${lie}) are between 1 and 254`)
    require(swarms[at] !== undefined, `there is no swarm ${at} to plant liars at`)
  }
}

function require(met: boolean, problem: string): void {
  if (!met) throw new SwarmatlasError('BAD_OPTION', `simulated DHT: ${problem}`)
}
