/**
 * The nodes of a simulated DHT: ids, addresses, and whom each would name (Maymounkov and Mazières, "Kademlia", 2002).
 * No table is stored: what a node knows follows from its place among the others, so that thousands cost little.
 */
import { type Endpoint, encodeCompact, type Family } from '@swarmatlas/core'
import { bounds } from './bounds.ts'
import type { SimDhtWorldOptions, SimLie } from './dht-world-options.ts'
import type { Prng } from './prng.ts'
import { closest, sortedById } from './routing.ts'

export interface SimDhtWorldNode {
  /** 20 bytes: what others know it by. */
  readonly id: Uint8Array
  readonly index: number
  readonly endpoints: Readonly<Partial<Record<Family, Endpoint>>>
  readonly alive: boolean
  readonly lie: SimLie | undefined
  /** For tables: id and compact endpoint. */
  readonly compact: Readonly<Partial<Record<Family, Uint8Array>>>
}

export interface SimDhtNodes {
  readonly all: readonly SimDhtWorldNode[]
  /** Whom `node` names for `target`: at most a bucket of nodes. */
  contactsFor(node: SimDhtWorldNode, target: Uint8Array): SimDhtWorldNode[]
  /** The `count` nodes nearest to `target` that are eligible, nearest first. */
  nearest(target: Uint8Array, count: number, eligible: (node: SimDhtWorldNode) => boolean): SimDhtWorldNode[]
}

/** Bits that a `near-id` liar shares with the hash; the nearest of 20,000 honest ids shares about 14. */
const NEAR_ID_BITS = 64
const PORT = 6_881
/** Liars have a network to themselves, so that no honest node is counted with them. */
const LIAR_PREFIXES_FROM = 0x7f00

export function createDhtNodes(
  { prng }: { prng: Prng },
  options: SimDhtWorldOptions & { readonly hashes: readonly Uint8Array[] },
): SimDhtNodes {
  const { nodes: count, deadShare = 0, nodesPerPrefix = 2, families = [4], hard = false, liars = [], hashes } = options
  const drafts = Array.from({ length: count }, (_, slot) => ({
    id: prng.bytes(20),
    alive: prng.below(1_000_000) >= deadShare * 1_000_000,
    lie: undefined as SimLie | undefined,
    prefix: Math.floor(slot / nodesPerPrefix),
    host: 1 + (slot % nodesPerPrefix),
  }))
  // Nearer than most of the honest, as who wants to be asked would choose it.
  const ordinaryBits = Math.floor(Math.log2(count)) - 1
  let prefix = LIAR_PREFIXES_FROM
  for (const { lie, count: planted, at = 0 } of liars) {
    for (let i = 0; i < planted; i++) {
      const bits = lie === 'near-id' ? NEAR_ID_BITS : ordinaryBits
      const id = sharingBits(hashes[at] as Uint8Array, bits, prng)
      drafts.push({ id, alive: true, lie, prefix, host: 1 + i })
      if (lie !== 'one-prefix') prefix++
    }
    if (lie === 'one-prefix') prefix++
  }

  const made = drafts.map(({ id, alive, lie, prefix, host }) => {
    const endpoints: Partial<Record<Family, Endpoint>> = {}
    const compact: Partial<Record<Family, Uint8Array>> = {}
    for (const family of families) {
      const endpoint = { address: nodeAddress(family, prefix, host), port: PORT }
      endpoints[family] = endpoint
      compact[family] = Buffer.concat([id, encodeCompact(endpoint)])
    }
    // routing.ts orders by id and looks at nothing else.
    return { id, endpoint: endpoints[families[0] as Family] as Endpoint, endpoints, compact, alive, lie }
  })
  const all = (sortedById(made) as typeof made).map((node, index): SimDhtWorldNode & { endpoint: Endpoint } => ({
    ...node,
    index,
  }))
  const heads = Uint32Array.from(all, ({ id }) => head(id))

  /** Those that share the first `bits` (0..32) bits with `target`: [low, high) of `all`. */
  function sharing(target: number, bits: number): [low: number, high: number] {
    const rest = bits >= 32 ? 0 : 0xffffffff >>> bits
    const first = (target & ~rest) >>> 0
    return [firstAtLeast(heads, first), firstAtLeast(heads, ((target | rest) >>> 0) + 1)]
  }

  function nearest(target: Uint8Array, wanted: number, eligible: (node: SimDhtWorldNode) => boolean) {
    // Whoever shares more bits is nearer: the nearest are in the first range that holds enough.
    for (let bits = Math.max(0, Math.floor(Math.log2(all.length / wanted))); ; bits--) {
      const [low, high] = sharing(head(target), Math.max(bits, 0))
      if (bits > 0 && high - low < wanted) continue
      const found = all.slice(low, high).filter(eligible)
      if (bits <= 0 || found.length >= wanted) return closest(target, found, wanted) as unknown as SimDhtWorldNode[]
    }
  }

  return {
    all,
    nearest,
    contactsFor(node, target) {
      const shared = Math.clz32(head(node.id) ^ head(target))
      if (shared < 31) {
        const [low, high] = sharing(head(target), shared + 1)
        if (high - low >= 2 * bounds.dhtBucketNodes) return bucket(node.index, shared, low, high)
      }
      const knows = (other: SimDhtWorldNode) =>
        !hard || mixed(node.index, other.index) % 100 >= bounds.dhtUnknownPercent
      return nearest(target, bounds.dhtBucketNodes, knows)
    },
  }

  /** Which of many a node has in one bucket: always the same, spread over the range. */
  function bucket(index: number, shared: number, low: number, high: number): SimDhtWorldNode[] {
    const size = (high - low) / bounds.dhtBucketNodes
    return Array.from({ length: bounds.dhtBucketNodes }, (_, i) => {
      const from = low + Math.floor(i * size)
      const to = low + Math.floor((i + 1) * size)
      return all[from + (mixed(index, shared * bounds.dhtBucketNodes + i) % (to - from))] as SimDhtWorldNode
    })
  }
}

/** Honest nodes have the prefixes 0-7eff, liars those up to 7fff; above them live the peers. */
function nodeAddress(family: Family, prefix: number, host: number): string {
  return family === 4
    ? `11.${prefix >> 8}.${prefix & 0xff}.${host}`
    : prefix === 0
      ? `2001:db8::${host.toString(16)}`
      : `2001:db8:${prefix.toString(16)}::${host.toString(16)}`
}

function sharingBits(id: Uint8Array, bits: number, prng: Prng): Uint8Array {
  const other = prng.bytes(20)
  for (let bit = 0; bit <= bits; bit++) {
    const mask = 0x80 >> (bit & 7)
    const at = bit >> 3
    // The bit after the shared ones differs.
    const wanted = ((id[at] as number) & mask) ^ (bit < bits ? 0 : mask)
    other[at] = ((other[at] as number) & ~mask) | wanted
  }
  return other
}

function head(id: Uint8Array): number {
  return (((id[0] as number) << 24) | ((id[1] as number) << 16) | ((id[2] as number) << 8) | (id[3] as number)) >>> 0
}

function firstAtLeast(sorted: Uint32Array, wanted: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] as number) < wanted) low = middle + 1
    else high = middle
  }
  return low
}

/** A number that follows from two (finalizer of MurmurHash3, Austin Appleby). */
function mixed(a: number, b: number): number {
  let hash = Math.imul(a + 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x7f4a7c15, 0xc2b2ae35)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
