/**
 * KRPC messages (BEP 5, BEP 32, BEP 43), decoded strictly: what comes out has the types and lengths that the BEPs name,
 * whatever went in. A message that lacks a required field is none; an optional field or a list entry of the wrong form
 * is left out and counted, since one bad value says nothing about its neighbours.
 */
import {
  type Bencoded,
  type BencodedDict,
  decodeBencode,
  decodeCompact,
  type Encodable,
  type Endpoint,
  encodeBencode,
  encodeCompact,
  limits,
  type Meter,
  read,
} from '@swarmatlas/core'

/** A node as another names it. */
export interface Contact {
  readonly id: Buffer
  readonly endpoint: Endpoint
}

export interface KrpcResponse {
  readonly kind: 'response'
  readonly tid: Buffer
  /** 20 bytes. */
  readonly id: Buffer
  readonly nodes: readonly Contact[]
  readonly nodes6: readonly Contact[]
  /** Peers as they were sent: port 0 and foreign address ranges included. */
  readonly values: readonly Endpoint[]
  /** `v`: what the sender says its client is. */
  readonly version: Buffer | undefined
}

export type KrpcReply = KrpcResponse | { readonly kind: 'error'; readonly tid: Buffer; readonly code: number }

/** Of a query nothing more is kept: we answer none. */
export type KrpcMessage = KrpcReply | { readonly kind: 'query'; readonly tid: Buffer }

export interface KrpcQuery {
  readonly q: string
  readonly a: { readonly id: Buffer; readonly target?: Buffer; readonly info_hash?: Buffer }
}

/** Client and version that our queries carry: Swarmatlas 0.1. */
const VERSION = Buffer.from([0x53, 0x41, 0x00, 0x01])
const ID_BYTES = 20

/** A query of ours. `ro: 1` (BEP 43) asks the other side not to take us into its routing table: we answer nothing. */
export function encodeQuery(tid: Uint8Array, { q, a }: KrpcQuery): Uint8Array {
  return encodeBencode({ a: a as { [key: string]: Encodable }, q, ro: 1, t: tid, v: VERSION, y: 'q' })
}

/** Undefined for whatever is no KRPC message. */
export function decodeKrpc(bytes: Uint8Array, meter: Meter): KrpcMessage | undefined {
  // k-rpc compares ids with Buffer's methods: views of a Buffer are Buffers.
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const message = decodeBencode(buffer, { maxDepth: limits.krpcDepth, maxItems: limits.krpcItems })
  if (!(message instanceof Map)) return undefined
  const tid = read.bytes(message, 't') as Buffer | undefined
  if (tid === undefined) return undefined
  switch (read.text(message, 'y')) {
    case 'q': {
      const wellFormed = read.bytes(message, 'q') !== undefined && idOf(read.dict(message, 'a')) !== undefined
      return wellFormed ? { kind: 'query', tid } : undefined
    }
    case 'r': {
      const body = read.dict(message, 'r')
      const id = idOf(body)
      if (body === undefined || id === undefined) return undefined
      return {
        kind: 'response',
        tid,
        id,
        nodes: contacts(body, 'nodes', 6, meter),
        nodes6: contacts(body, 'nodes6', 18, meter),
        values: endpoints(body, meter),
        version: read.bytes(message, 'v') as Buffer | undefined,
      }
    }
    case 'e': {
      const code = read.list(message, 'e')?.[0]
      return typeof code === 'number' ? { kind: 'error', tid, code } : undefined
    }
    default:
      return undefined
  }
}

function idOf(body: BencodedDict | undefined): Buffer | undefined {
  const id = read.bytes(body, 'id')
  return id?.length === ID_BYTES ? (id as Buffer) : undefined
}

/** `nodes` (26 bytes each) or `nodes6` (38): node id and compact endpoint, run together. */
function contacts(body: BencodedDict, key: 'nodes' | 'nodes6', endpointBytes: 6 | 18, meter: Meter): Contact[] {
  const found = body.get(key)
  const size = ID_BYTES + endpointBytes
  if (found === undefined) return []
  if (!(found instanceof Uint8Array) || found.length % size !== 0) {
    meter.count(`dht.malformed.${key}`)
    return []
  }
  const sent = found.length / size
  const taken = Math.min(sent, limits.krpcNodes)
  if (sent > taken) meter.count(`dht.capped.${key}`, sent - taken)
  return Array.from({ length: taken }, (_, index) => {
    const entry = found.subarray(index * size, (index + 1) * size) as Buffer
    return { id: entry.subarray(0, ID_BYTES), endpoint: decodeCompact(entry.subarray(ID_BYTES)) as Endpoint }
  })
}

/** `values`: a list of compact endpoints, each judged by itself. */
function endpoints(body: BencodedDict, meter: Meter): Endpoint[] {
  const found = body.get('values') ?? []
  const list: readonly Bencoded[] = Array.isArray(found) ? found : [found]
  if (list.length > limits.krpcValues) meter.count('dht.capped.values', list.length - limits.krpcValues)
  return list.slice(0, limits.krpcValues).flatMap((entry) => {
    const endpoint = entry instanceof Uint8Array ? decodeCompact(entry) : undefined
    if (endpoint === undefined) meter.count('dht.malformed.values')
    return endpoint ?? []
  })
}

/** The inverse of `nodes`: what k-rpc reads. */
export function encodeContacts(contacts: readonly Contact[]): Buffer {
  return Buffer.concat(contacts.flatMap(({ id, endpoint }) => [id, encodeCompact(endpoint)]))
}
