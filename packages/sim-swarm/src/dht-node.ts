/** One DHT node (BEP 5; over IPv6 BEP 32): ping, find_node, get_peers, announce_peer on a table that it was given. */
import { createHash } from 'node:crypto'
import {
  type BencodedDict,
  decodeBencode,
  type Encodable,
  type Endpoint,
  encodeBencode,
  encodeCompact,
  endpointKey,
  familyOf,
  type Host,
  type InfoHash,
  infoHashFromBytes,
  read,
} from '@swarmatlas/core'
import { bounds } from './bounds.ts'
import type { SimCounters } from './counters.ts'
import type { Prng } from './prng.ts'
import { type Contact, closest } from './routing.ts'

export interface SimDhtNode {
  readonly contact: Contact
  /** Gives it its routing table. */
  know(contacts: readonly Contact[]): void
  /** Makes it hold peers of a hash. */
  store(hash: InfoHash, peers: readonly Endpoint[]): void
  close(): Promise<void>
}

export interface SimDhtNodeOptions {
  address: string
  id: Uint8Array
  /** Bound, so that nobody else gets its port, but deaf. */
  dead: boolean
}

const SERVER_ERROR = 202
const PROTOCOL_ERROR = 203
const METHOD_UNKNOWN = 204

export async function openDhtNode(
  { udp, counters, prng }: { udp: Host['udp']; counters: SimCounters; prng: Prng },
  { address, id, dead }: SimDhtNodeOptions,
): Promise<SimDhtNode> {
  const family = familyOf(address)
  const nodesKey = family === 4 ? 'nodes' : 'nodes6'
  const secret = prng.bytes(16)
  const held = new Map<InfoHash, Map<string, Uint8Array>>()
  let table: readonly Contact[] = []

  function onMessage(bytes: Uint8Array, from: Endpoint): void {
    if (dead) return
    const message = decodeBencode(bytes, { maxDepth: bounds.krpcDepth, maxItems: bounds.krpcItems })
    const dict = message instanceof Map ? message : undefined
    const transaction = read.bytes(dict, 't')
    if (read.text(dict, 'y') !== 'q' || transaction === undefined) {
      counters.dhtMalformed++
      return
    }
    const args = read.dict(dict, 'a')
    const answer =
      read.bytes(args, 'id')?.length === 20 ? reply(read.text(dict, 'q'), args as BencodedDict, from) : undefined
    if (answer === undefined) counters.dhtMalformed++
    else {
      increment(counters.dhtQueriesByNode, key)
      if (read.integer(dict, 'ro') !== 1) counters.dhtQueriesNotReadOnly++
    }
    const body: { [key: string]: Encodable } =
      answer === undefined
        ? { y: 'e', e: [PROTOCOL_ERROR, 'invalid arguments'] }
        : 'error' in answer
          ? { y: 'e', e: [...answer.error] }
          : { y: 'r', r: { id, ...answer.values } }
    // `ip` tells the asker how it is seen (BEP 42).
    socket.send(encodeBencode({ t: transaction, v: 'SW\u0000\u0001', ip: encodeCompact(from), ...body }), from)
  }

  type Answer = { values: { [key: string]: Encodable } } | { error: readonly [number, string] }

  function reply(method: string | undefined, args: BencodedDict, from: Endpoint): Answer | undefined {
    switch (method) {
      case 'ping':
        return { values: {} }
      case 'find_node': {
        const target = idIn(args, 'target')
        return target && { values: { [nodesKey]: nodesNear(target) } }
      }
      case 'get_peers': {
        const target = idIn(args, 'info_hash')
        if (target === undefined) return undefined
        const hash = infoHashFromBytes(target)
        const counted = counters.dhtGetPeersByHash
        if (counted.has(hash) || counted.size < bounds.dhtCountedHashes) increment(counted, hash)
        const peers = held.get(hash)
        const values = peers && prng.sample([...peers.values()], bounds.dhtValues)
        return { values: { token: tokenFor(from), [nodesKey]: nodesNear(target), ...(values && { values }) } }
      }
      case 'announce_peer': {
        const target = idIn(args, 'info_hash')
        const implied = read.integer(args, 'implied_port') === 1
        const port = implied ? from.port : read.integer(args, 'port')
        if (target === undefined || port === undefined || port < 1 || port > 65_535) return undefined
        const token = read.bytes(args, 'token')
        if (token === undefined || Buffer.compare(token, tokenFor(from)) !== 0) {
          return { error: [PROTOCOL_ERROR, 'bad token'] }
        }
        const hash = infoHashFromBytes(target)
        const known = held.get(hash)?.size
        if (known === undefined ? held.size >= bounds.dhtStoredHashes : known >= bounds.dhtStoredPeers)
          return { error: [SERVER_ERROR, 'full'] }
        store(hash, [{ address: from.address, port }])
        counters.dhtAnnounces++
        return { values: {} }
      }
      default:
        return { error: [METHOD_UNKNOWN, 'method unknown'] }
    }
  }

  function nodesNear(target: Uint8Array): Uint8Array {
    const near = closest(target, table, bounds.dhtBucketNodes)
    return Buffer.concat(near.flatMap((contact) => [contact.id, encodeCompact(contact.endpoint)]))
  }

  /** Bound to the asker's address; a swarm does not live long enough for it to change. */
  function tokenFor(from: Endpoint): Uint8Array {
    return createHash('sha1').update(secret).update(from.address).digest().subarray(0, bounds.dhtTokenBytes)
  }

  function store(hash: InfoHash, peers: readonly Endpoint[]): void {
    const known = held.get(hash) ?? new Map<string, Uint8Array>()
    held.set(hash, known)
    for (const peer of peers) known.set(endpointKey(peer), encodeCompact(peer))
  }

  const socket = await udp.open({ family, address, onMessage, onError() {} })
  const key = endpointKey(socket.local)
  return {
    contact: { id, endpoint: socket.local },
    know(contacts) {
      table = contacts
    },
    store,
    close: () => socket.close(),
  }
}

function idIn(args: BencodedDict, key: string): Uint8Array | undefined {
  const bytes = read.bytes(args, key)
  return bytes?.length === 20 ? bytes : undefined
}

function increment<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
