/** What a node of a simulated DHT answers (BEP 5, 32, 33, 51), honest or not. */
import {
  type BencodedDict,
  type Encodable,
  type Endpoint,
  encodeCompact,
  type Family,
  familyOf,
  infoHashFromBytes,
  read,
} from '@swarmatlas/core'
import { bounds } from './bounds.ts'
import type { SimDhtNodes, SimDhtWorldNode } from './dht-world-nodes.ts'
import { bloomFilter, type SimDhtStore, type StoredPeer } from './dht-world-store.ts'
import type { Prng } from './prng.ts'

export interface AnswerComponents {
  readonly nodes: SimDhtNodes
  readonly store: SimDhtStore
  readonly prng: Prng
  /** Seconds since some start; BEP 51 samples change with them. */
  nowS(): number
}

export interface AnswerOptions {
  readonly families: readonly Family[]
  readonly victims: readonly Endpoint[]
}

/** `r` of the answer, or `e`; undefined when the arguments are not valid. */
export type Answer = { r: { [key: string]: Encodable } } | { e: readonly Encodable[] }

const METHOD_UNKNOWN = 204
const RTORRENT = Buffer.from('lt\x0d\x80', 'latin1')
const SIMULATED = Buffer.from('SW\x00\x01', 'latin1')

export function versionOf({ lie }: SimDhtWorldNode): Uint8Array {
  return lie === 'swapped-ports' ? RTORRENT : SIMULATED
}

export function createAnswerer(
  { nodes, store, prng, nowS }: AnswerComponents,
  { families, victims }: AnswerOptions,
): (node: SimDhtWorldNode, family: Family, method: string | undefined, args: BencodedDict) => Answer | undefined {
  /** BEP 32: of the family that is asked over, unless `want` says otherwise. */
  function wantedNodes(node: SimDhtWorldNode, family: Family, target: Uint8Array, args: BencodedDict) {
    const want = read
      .list(args, 'want')
      ?.map((each) => (each instanceof Uint8Array ? Buffer.from(each).toString() : ''))
    const wanted = want === undefined ? [family] : families.filter((each) => want.includes(`n${each}`))
    const contacts = node.lie === 'victims' ? undefined : nodes.contactsFor(node, target)
    return Object.fromEntries(
      wanted.map((each) => {
        const named =
          contacts?.map(({ compact }) => compact[each] as Uint8Array) ?? victimsNear(target, victims, each, prng)
        return [each === 4 ? 'nodes' : 'nodes6', Buffer.concat(named)]
      }),
    )
  }

  function values(node: SimDhtWorldNode, family: Family, target: Uint8Array, args: BencodedDict): Uint8Array[] {
    const limit = family === 4 ? bounds.dhtValues : bounds.dhtValues6
    if (node.lie === 'fabricates') return invented(family, limit, () => 10_000 + prng.below(50_000), prng)
    if (node.lie === 'low-ports') return invented(family, limit, () => prng.below(2), prng)
    const held = store.held(node, infoHashFromBytes(target)) ?? []
    const eligible = read.integer(args, 'noseed') === 1 ? held.filter(({ seed }) => !seed) : held
    const told = prng.sample(eligible, limit).map(({ compact }) => compact[family] as Uint8Array)
    return node.lie === 'swapped-ports' ? told.map(withSwappedPort) : told
  }

  /** As libtorrent does, a scrape is answered by filters and no values. */
  function peersOrFilters(node: SimDhtWorldNode, family: Family, target: Uint8Array, args: BencodedDict) {
    const held = store.held(node, infoHashFromBytes(target))
    if (read.integer(args, 'scrape') === 1 && held !== undefined) {
      const filter = (wanted: (peer: StoredPeer) => boolean) => bloomFilter(held.filter(wanted), family)
      return { BFpe: filter(({ seed }) => !seed), BFsd: filter(({ seed }) => seed) }
    }
    const told = values(node, family, target, args)
    return told.length > 0 ? { values: told } : {}
  }

  function samples(node: SimDhtWorldNode) {
    const hashes = store.hashes(node)
    const interval = Math.floor(nowS() / bounds.dhtSampleIntervalS)
    const from = hashes.length === 0 ? 0 : (interval * bounds.dhtSamples) % hashes.length
    const told = [...hashes.slice(from), ...hashes.slice(0, from)].slice(0, bounds.dhtSamples)
    return { interval: bounds.dhtSampleIntervalS, num: hashes.length, samples: Buffer.concat(told) }
  }

  return (node, family, method, args) => {
    const id = node.lie === 'wrong-id' ? prng.bytes(20) : node.id
    const target = read.bytes(args, method === 'get_peers' ? 'info_hash' : 'target')
    if (method === 'ping') return { r: { id } }
    if (method !== 'find_node' && method !== 'get_peers' && method !== 'sample_infohashes') {
      return { e: [METHOD_UNKNOWN, 'method unknown'] }
    }
    if (target?.length !== 20) return undefined
    const near = wantedNodes(node, family, target, args)
    if (method === 'find_node') return { r: { id, ...near } }
    if (method === 'sample_infohashes') return { r: { id, ...near, ...samples(node) } }
    return { r: { id, ...near, token: 'none', ...peersOrFilters(node, family, target, args) } }
  }
}

function victimsNear(target: Uint8Array, victims: readonly Endpoint[], family: Family, prng: Prng): Uint8Array[] {
  const eligible = victims.filter(({ address }) => familyOf(address) === family)
  return prng.sample(eligible, bounds.dhtBucketNodes).map((victim) => {
    const id = Buffer.concat([target.subarray(0, 3), prng.bytes(17)])
    return Buffer.concat([id, encodeCompact(victim)])
  })
}

function invented(family: Family, limit: number, port: () => number, prng: Prng): Uint8Array[] {
  return Array.from({ length: Math.min(limit, bounds.dhtInventedPeers) }, () => {
    const address =
      family === 4
        ? `13.${prng.below(256)}.${prng.below(256)}.${1 + prng.below(254)}`
        : `2001:db8:ffff::${(1 + prng.below(0xffff)).toString(16)}`
    return encodeCompact({ address, port: port() })
  })
}

function withSwappedPort(compact: Uint8Array): Uint8Array {
  const swapped = Buffer.from(compact)
  swapped.subarray(-2).swap16()
  return swapped
}
