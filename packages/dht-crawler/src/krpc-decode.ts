/**
 * KRPC messages (BEP 5, 32, 33, 42, 43, 51; 44 is stepped over), decoded in one pass. What comes out has the types and
 * lengths that the BEPs name, whatever went in. A message that lacks a required field is none; an optional field or a
 * list entry of the wrong form is left out and counted, since one bad value says nothing about its neighbours.
 * Fields are views of the datagram: who keeps one copies it.
 */
import { limits, type Meter } from '@swarmatlas/core'
import { BencodeCursor, DICT, END, LIST } from './bencode-cursor.ts'

export interface KrpcResponse {
  readonly kind: 'response'
  readonly tid: Buffer
  /** 20 bytes. */
  readonly id: Buffer
  /** Contacts run together: 20 bytes of id, then a compact endpoint; 26 bytes each. */
  readonly nodes: Buffer
  /** 38 bytes each (BEP 32). */
  readonly nodes6: Buffer
  /** Compact IPv4 peers run together, 6 bytes each: port 0 and foreign address ranges included. */
  readonly values: Buffer
  /** Compact IPv6 peers, 18 bytes each. */
  readonly values6: Buffer
  /** `v`: what the sender says its client is. */
  readonly version: Buffer | undefined
  /** Where the sender sees us (BEP 42): a compact endpoint. */
  readonly ip: Buffer | undefined
  /** Filters of seeds and of downloaders (BEP 33), 256 bytes. */
  readonly seeds: Buffer | undefined
  readonly downloaders: Buffer | undefined
  /** Info-hashes run together (BEP 51). */
  readonly samples: Buffer | undefined
  /** Info-hashes that the node holds, and seconds until it draws new samples (BEP 51). */
  readonly num: number | undefined
  readonly intervalS: number | undefined
}

export interface KrpcError {
  readonly kind: 'error'
  readonly tid: Buffer
  readonly code: number
}

export type KrpcReply = KrpcResponse | KrpcError

/** Of a query nothing more is kept: we answer none. */
export type KrpcMessage = KrpcReply | { readonly kind: 'query'; readonly tid: Buffer }

const ID_BYTES = 20
const FILTER_BYTES = 256
const EMPTY = Buffer.alloc(0)

type Body = {
  -readonly [Key in Exclude<keyof KrpcResponse, 'kind' | 'tid' | 'version' | 'ip' | 'id'>]: KrpcResponse[Key]
} & {
  id: Buffer | undefined
}

/** Undefined for whatever is no KRPC message. Never throws. */
export function decodeKrpc(bytes: Uint8Array, meter: Meter): KrpcMessage | undefined {
  const cursor = new BencodeCursor(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  let kind = 0
  let tid: Buffer | undefined
  let version: Buffer | undefined
  let ip: Buffer | undefined
  let body: Body | undefined
  let code: number | undefined
  let asked = false
  let askerId = false
  let items: number | undefined = limits.krpcItems
  if (!cursor.take(DICT)) return undefined
  while (!cursor.take(END)) {
    if (!cursor.string()) return undefined
    const key = cursor.end - cursor.start === 1 ? cursor.bytes[cursor.start] : cursor.is('ip') ? IP : 0
    if (key === T || key === Y || key === V || key === Q || key === IP) {
      // A value of another type is stepped over: t and y are then missing.
      const at = cursor.at
      if (cursor.string()) {
        if (key === T) tid = cursor.view()
        else if (key === Y) kind = cursor.end - cursor.start === 1 ? (cursor.bytes[cursor.start] as number) : 0
        else if (key === V) version = cursor.view()
        else if (key === IP) ip = compact(cursor)
        else asked = true
        continue
      }
      cursor.at = at
    } else if (key === R && cursor.next === DICT) {
      const fresh = emptyBody()
      items = readBody(cursor, fresh, items, meter)
      if (items === undefined) return undefined
      body = fresh
      continue
    } else if (key === E && cursor.next === LIST) {
      const at = cursor.at++
      code = cursor.integer() ?? code
      cursor.at = at
    } else if (key === A && cursor.next === DICT) {
      const at = cursor.at
      askerId = namesId(cursor)
      cursor.at = at
    }
    items = cursor.skip(limits.krpcDepth, items)
    if (items === undefined) return undefined
  }
  if (!cursor.done || tid === undefined) return undefined
  if (kind === Q) return asked && askerId ? { kind: 'query', tid } : undefined
  if (kind === E) return code === undefined ? undefined : { kind: 'error', tid, code }
  if (kind !== R || body?.id === undefined) return undefined
  return { kind: 'response', tid, version, ip, ...body, id: body.id }
}

const [A, E, Q, R, T, V, Y] = [...'aeqrtvy'].map((letter) => letter.charCodeAt(0)) as [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
]
/** No byte. */
const IP = 256

function emptyBody(): Body {
  return {
    id: undefined,
    nodes: EMPTY,
    nodes6: EMPTY,
    values: EMPTY,
    values6: EMPTY,
    seeds: undefined,
    downloaders: undefined,
    samples: undefined,
    num: undefined,
    intervalS: undefined,
  }
}

/** The dictionary `r`; what is left of `items`, or undefined when the bytes are no bencode. */
function readBody(cursor: BencodeCursor, body: Body, items: number, meter: Meter): number | undefined {
  let left: number | undefined = items
  cursor.at++
  while (!cursor.take(END)) {
    if (!cursor.string()) return undefined
    const at = cursor.at
    const name = FIELDS.get(
      cursor.bytes.toString('latin1', cursor.start, Math.min(cursor.end, cursor.start + LONGEST_FIELD + 1)),
    )
    if (name === 'values' && cursor.next === LIST) {
      left = readValues(cursor, body, left, meter)
      if (left === undefined) return undefined
      continue
    }
    if (name === 'num' || name === 'interval') {
      const value = cursor.integer()
      if (value !== undefined && value >= 0) body[name === 'num' ? 'num' : 'intervalS'] = value
      else meter.count(`dht.malformed.${name}`)
    } else if (name !== undefined) {
      const ok = cursor.string() && readString(cursor, body, name, meter)
      if (!ok) meter.count(`dht.malformed.${name}`)
    }
    cursor.at = at
    left = cursor.skip(limits.krpcDepth, left)
    if (left === undefined) return undefined
  }
  return left
}

const FIELDS = new Map(
  (['id', 'nodes', 'nodes6', 'values', 'BFsd', 'BFpe', 'samples', 'num', 'interval'] as const).map((name) => [
    name as string,
    name,
  ]),
)
const LONGEST_FIELD = 8

/** A field that is a string; false when its length is not one that the field can have. */
function readString(cursor: BencodeCursor, body: Body, name: string, meter: Meter): boolean {
  const length = cursor.end - cursor.start
  switch (name) {
    case 'id':
      if (length === ID_BYTES) body.id = cursor.view()
      return length === ID_BYTES
    case 'nodes':
    case 'nodes6': {
      const size = name === 'nodes' ? 26 : 38
      if (length % size !== 0) return false
      const taken = Math.min(length, limits.krpcNodes * size)
      if (taken < length) meter.count(`dht.capped.${name}`, (length - taken) / size)
      body[name] = cursor.view().subarray(0, taken)
      return true
    }
    case 'BFsd':
    case 'BFpe':
      if (length === FILTER_BYTES) body[name === 'BFsd' ? 'seeds' : 'downloaders'] = cursor.view()
      return length === FILTER_BYTES
    case 'samples':
      if (length % ID_BYTES !== 0) return false
      body.samples = cursor.view()
      return true
    default:
      return false
  }
}

/** `values`: a list of compact endpoints, each judged by itself. */
function readValues(cursor: BencodeCursor, body: Body, items: number, meter: Meter): number | undefined {
  let left: number | undefined = items
  let seen = 0
  let used = 0
  let used6 = 0
  let malformed = 0
  cursor.at++
  while (!cursor.take(END)) {
    const at = cursor.at
    const length = cursor.string() ? cursor.end - cursor.start : -1
    if (seen < limits.krpcValues && (length === 6 || length === 18)) {
      const into = length === 6 ? scratch : scratch6
      cursor.bytes.copy(into, length === 6 ? used : used6, cursor.start, cursor.end)
      if (length === 6) used += 6
      else used6 += 18
    } else if (seen < limits.krpcValues) malformed++
    if (length < 0) cursor.at = at
    left = length < 0 ? cursor.skip(limits.krpcDepth, left) : left > 0 ? left - 1 : undefined
    if (left === undefined) return undefined
    seen++
  }
  if (used > 0) body.values = Buffer.from(scratch.subarray(0, used))
  if (used6 > 0) body.values6 = Buffer.from(scratch6.subarray(0, used6))
  if (malformed > 0) meter.count('dht.malformed.values', malformed)
  if (seen > limits.krpcValues) meter.count('dht.capped.values', seen - limits.krpcValues)
  return left
}

const scratch = Buffer.alloc(limits.krpcValues * 6)
const scratch6 = Buffer.alloc(limits.krpcValues * 18)

function compact(cursor: BencodeCursor): Buffer | undefined {
  const length = cursor.end - cursor.start
  return length === 6 || length === 18 ? cursor.view() : undefined
}

/** Whether the dictionary at the cursor has an `id` of 20 bytes. Moves the cursor anywhere. */
function namesId(cursor: BencodeCursor): boolean {
  cursor.at++
  while (!cursor.take(END)) {
    if (!cursor.string()) return false
    const isId = cursor.is('id')
    if (isId && cursor.string()) return cursor.end - cursor.start === ID_BYTES
    if (isId || cursor.skip(limits.krpcDepth, limits.krpcItems) === undefined) return false
  }
  return false
}
