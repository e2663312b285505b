/** Who holds which peers in a simulated DHT, and what they would tell: values, BEP 33 filters, BEP 51 samples. */
import { createHash } from 'node:crypto'
import {
  addressBytes,
  type Endpoint,
  encodeCompact,
  endpointKey,
  type Family,
  type InfoHash,
  infoHashFromBytes,
} from '@swarmatlas/core'
import { bounds } from './bounds.ts'
import type { SimDhtNodes, SimDhtWorldNode } from './dht-world-nodes.ts'
import type { Prng } from './prng.ts'

export interface SimDhtSwarm {
  readonly hash: InfoHash
  /** endpointKeys of all that live honest nodes hold, by family. */
  readonly peers: Readonly<Record<Family, ReadonlySet<string>>>
  /** Of these the seeds. */
  readonly seeds: Readonly<Record<Family, ReadonlySet<string>>>
}

export interface StoredPeer {
  readonly endpoints: Readonly<Partial<Record<Family, Endpoint>>>
  readonly compact: Readonly<Partial<Record<Family, Uint8Array>>>
  readonly seed: boolean
}

export interface SimDhtStore {
  readonly swarms: readonly SimDhtSwarm[]
  held(node: SimDhtWorldNode, hash: InfoHash): readonly StoredPeer[] | undefined
  /** The hashes that a node holds peers of. */
  hashes(node: SimDhtWorldNode): readonly Uint8Array[]
}

export function createDhtStore(
  { nodes, prng }: { nodes: SimDhtNodes; prng: Prng },
  {
    hashes,
    sizes,
    seedShare,
    families,
    hard,
  }: {
    hashes: readonly Uint8Array[]
    sizes: readonly number[]
    seedShare: number
    families: readonly Family[]
    hard: boolean
  },
): SimDhtStore {
  const byNode = new Map<SimDhtWorldNode, Map<InfoHash, StoredPeer[]>>()
  const limit = hard ? bounds.dhtHardStoredPeers : Number.POSITIVE_INFINITY
  // An rTorrent stores as others do; the other liars do not.
  const stores = (node: SimDhtWorldNode) => node.lie === undefined || node.lie === 'swapped-ports'

  function store(node: SimDhtWorldNode, hash: InfoHash, peer: StoredPeer): void {
    const all = byNode.get(node) ?? new Map<InfoHash, StoredPeer[]>()
    byNode.set(node, all)
    const held = all.get(hash) ?? []
    all.set(hash, held)
    if (held.length < limit) held.push(peer)
    // A full libtorrent node forgets, by even chance, the newcomer or another.
    else if (prng.below(2) === 1) held[prng.below(limit)] = peer
  }

  function announce(bytes: Uint8Array, size: number): SimDhtSwarm {
    const hash = infoHashFromBytes(bytes)
    const near = hard
      ? nodes.nearest(bytes, bounds.dhtHardHolders, (node) => node.alive && stores(node))
      : nodes.nearest(bytes, bounds.dhtHolders, stores)
    for (let i = 0; i < size; i++) {
      const peer = makePeer(families, prng.below(1_000) < seedShare * 1_000, prng)
      const found = hard ? near.filter(() => prng.below(100) < bounds.dhtFoundPercent) : near
      for (const node of found.slice(0, bounds.dhtHolders)) store(node, hash, peer)
    }
    const held = new Set(near.filter(({ alive }) => alive).flatMap((node) => byNode.get(node)?.get(hash) ?? []))
    const keys = (family: Family, seedsOnly: boolean) =>
      new Set([...held].flatMap(({ endpoints, seed }) => (seedsOnly && !seed ? [] : keyOf(endpoints[family]))))
    return { hash, peers: { 4: keys(4, false), 6: keys(6, false) }, seeds: { 4: keys(4, true), 6: keys(6, true) } }
  }

  const swarms = hashes.map((hash, index) => announce(hash, sizes[index] as number))
  return {
    swarms,
    held: (node, hash) => byNode.get(node)?.get(hash),
    hashes: (node) => [...(byNode.get(node)?.keys() ?? [])].map((hash) => Buffer.from(hash, 'hex')),
  }
}

function keyOf(endpoint: Endpoint | undefined): string[] {
  return endpoint === undefined ? [] : [endpointKey(endpoint)]
}

/** IPv4: 11.128.0.0/9. IPv6: the upper half of the /48s. */
function makePeer(families: readonly Family[], seed: boolean, prng: Prng): StoredPeer {
  const port = 10_000 + prng.below(50_000)
  const endpoints: Partial<Record<Family, Endpoint>> = {}
  const compact: Partial<Record<Family, Uint8Array>> = {}
  for (const family of families) {
    const address =
      family === 4
        ? `11.${128 + prng.below(128)}.${prng.below(256)}.${1 + prng.below(254)}`
        : `2001:db8:${(0x8000 + prng.below(0x8000)).toString(16)}::${(1 + prng.below(0xffff)).toString(16)}`
    endpoints[family] = { address, port }
    compact[family] = encodeCompact({ address, port })
  }
  return { endpoints, compact, seed }
}

/** A BEP 33 filter: two bits of 2,048 from the SHA-1 of each address (of IPv6 its first 8 bytes). */
export function bloomFilter(peers: readonly StoredPeer[], family: Family): Uint8Array {
  const filter = new Uint8Array(bounds.bloomFilterBytes)
  for (const { endpoints } of peers) {
    const endpoint = endpoints[family]
    if (endpoint === undefined) continue
    const digest = createHash('sha1').update(addressBytes(endpoint.address).subarray(0, 8)).digest()
    for (const at of [0, 2]) {
      const bit = digest.readUInt16LE(at) % (bounds.bloomFilterBytes * 8)
      filter[bit >> 3] = (filter[bit >> 3] as number) | (1 << (bit & 7))
    }
  }
  return filter
}
