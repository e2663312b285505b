/**
 * The key schema, version 2: the one file that knows the bytes of keys. Integers are unsigned and big-endian, so that
 * LevelDB's byte order is theirs. Peer numbers have 5 bytes; they are never reused. Every value is followed by a CRC-32C of
 * key and value (level-store.ts). No address stands anywhere but in the book.
 *
 * facts/ (what is known of rounds, torrents and the store; and what is derived, in spaces from 0x20 on)
 * | space       | key after the space byte                                        | value                              |
 * |-------------|-----------------------------------------------------------------|------------------------------------|
 * | meta        | name, text                                                      | JSON                               |
 * | wire        | wire hash 20                                                    | wire number 4                      |
 * | wireName    | wire number 4                                                   | wire hash, text                    |
 * | tracker     | redacted URL, text                                              | tracker number 4                   |
 * | trackerName | tracker number 4                                                | redacted URL, text                 |
 * | place       | JSON of a Place                                                 | place number 4                     |
 * | placeName   | place number 4                                                  | JSON of a Place                    |
 * | owner       | wire number 4                                                   | torrent number 4                   |
 * | torrent     | torrent number 4 (the wire number of one of its hashes)         | JSON, see torrents.ts              |
 * | round       | round 4                                                         | JSON, see rounds.ts                |
 * | holding     | round 4, wire number 4                                          | JSON, see rounds.ts: what a sealed round holds of the wire hash |
 * | event       | event number 4                                                  | JSON of a StoreEvent               |
 * | wireRound   | wire number 4, round 4                                          | JSON, see derive.ts: counts of the wire hash in the sealed round |
 * | wireStats   | wire number 4                                                   | JSON, see derive.ts: over all sealed rounds |
 * | seen        | wire number 4, peer 5                                           | see derive.ts: rounds that hold the peer |
 *
 * open-<round>/ (the rows of a round that is not sealed)
 * | wireHere    | wire number 4                                                   | empty                              |
 * | observation | wire number 4, peer 5, channel and teller kind 1, teller 5, group 3 | see observation-row.ts; teller: peer number, tracker number or 0; group: the commit it came in |
 * | visit       | wire number 4, peer 5, time 6                                   | see visit-row.ts                   |
 * | report      | wire number 4, tracker number 4, time 6                         | JSON of a TrackerReport            |
 *
 * sealed-<ISO week>[-n]/ (the rounds sealed in that week; n counts how often it was written anew)
 * | tellers     | round 4, wire number 4, channel 1, piece 2                      | see teller-table.ts                |
 * | block       | round 4, wire number 4, channel 1, last peer 5, block 4         | see fact-block.ts                  |
 * | visits      | round 4, wire number 4, last peer 5, block 4                    | see visit-block.ts                 |
 * | sealedReport| round 4, wire number 4, tracker number 4, time 6                | JSON of a TrackerReport            |
 * | identity    | peer 5                                                          | see identities.ts: place and pseudonym |
 *
 * book-<ISO week>/ (the address book: one LevelDB for each week in which an endpoint was met; dropped as a whole)
 * | number      | compact endpoint 6 or 18                                        | peer number 5                      |
 * | endpoint    | peer number 5                                                   | pseudonym 16, compact endpoint, and 20 bytes of node id where it is a DHT node |
 */
import { type Channel, decodeCompact, type Endpoint, encodeCompact, limits, type Teller } from '@swarmatlas/core'
import { clampTime } from './bytes.ts'

export const schemaVersion = 2

const space = {
  meta: 0x00,
  wire: 0x01,
  wireName: 0x02,
  tracker: 0x03,
  trackerName: 0x04,
  owner: 0x05,
  torrent: 0x06,
  round: 0x07,
  place: 0x08,
  placeName: 0x09,
  event: 0x0a,
  holding: 0x0b,
  observation: 0x10,
  visit: 0x11,
  report: 0x12,
  wireHere: 0x13,
  wireRound: 0x20,
  wireStats: 0x21,
  seen: 0x22,
  tellers: 0x30,
  block: 0x31,
  visits: 0x32,
  sealedReport: 0x33,
  identity: 0x34,
  number: 0x40,
  endpoint: 0x41,
} as const

const channelCodes: Record<Channel, number> = { dht: 0, tracker: 1, pex: 2, lsd: 3, inbound: 4, magnet: 5 }
const tellerCodes: Record<Teller['kind'], number> = { 'dht-node': 0, tracker: 1, peer: 2, self: 3 }
const channelNames = namesOf(channelCodes)
const tellerNames = namesOf(tellerCodes)

function namesOf<T extends string>(codes: Record<T, number>): T[] {
  const names: T[] = []
  for (const [name, code] of Object.entries(codes)) names[code as number] = name as T
  return names
}

/** All keys from `gte` up to, not including, `lt`. */
export interface KeyRange {
  readonly gte: Buffer
  readonly lt: Buffer
}

/** Who said it, as stored: a peer number, a tracker number, or 0 for ourselves. */
export interface TellerRef {
  readonly kind: Teller['kind']
  readonly number: number
}

/** A wire hash in a round. */
export interface WireRoundKey {
  readonly wire: number
  readonly round: number
}

export interface ObservationKey {
  readonly wire: number
  readonly peer: number
  readonly channel: Channel
  readonly teller: TellerRef
  readonly group: number
}

export interface VisitKey {
  readonly wire: number
  readonly peer: number
  readonly atMs: number
}

export interface ReportKey {
  readonly tracker: number
  readonly atMs: number
}

export function channelCode(channel: Channel): number {
  return channelCodes[channel]
}

export function channelOf(code: number): Channel {
  return channelNames[code] as Channel
}

export const channelCount: number = channelNames.length

const KIND = 2 ** 40

/** One number for kind and number of a teller; sorts as both do. */
export function tellerId({ kind, number }: TellerRef): number {
  return tellerCodes[kind] * KIND + number
}

export function tellerOfId(id: number): TellerRef {
  return { kind: tellerNames[Math.floor(id / KIND)] as Teller['kind'], number: id % KIND }
}

function key(code: number, ...fields: readonly (readonly [value: number, bytes: number])[]): Buffer {
  const buffer = Buffer.allocUnsafe(fields.reduce((size, [, bytes]) => size + bytes, 1))
  let at = buffer.writeUInt8(code, 0)
  for (const [value, bytes] of fields) at = buffer.writeUIntBE(value, at, bytes)
  return buffer
}

/** Every key that begins with the prefix. */
function range(prefix: Buffer): KeyRange {
  let last = prefix.length - 1
  while (prefix[last] === 0xff) last--
  const lt = Buffer.from(prefix.subarray(0, last + 1))
  lt.writeUInt8((prefix[last] as number) + 1, last)
  return { gte: prefix, lt }
}

const withText = (code: number, text: string) => Buffer.concat([key(code), Buffer.from(text, 'utf8')])

export const keys = {
  meta: (name: string): Buffer => withText(space.meta, name),
  wire: (hash: string): Buffer => Buffer.concat([key(space.wire), Buffer.from(hash, 'hex')]),
  wireName: (wire: number): Buffer => key(space.wireName, [wire, 4]),
  tracker: (url: string): Buffer => withText(space.tracker, url),
  trackerName: (tracker: number): Buffer => key(space.trackerName, [tracker, 4]),
  owner: (wire: number): Buffer => key(space.owner, [wire, 4]),
  torrent: (torrent: number): Buffer => key(space.torrent, [torrent, 4]),
  place: (json: string): Buffer => withText(space.place, json),
  placeName: (place: number): Buffer => key(space.placeName, [place, 4]),
  round: (round: number): Buffer => key(space.round, [round, 4]),
  event: (event: number): Buffer => key(space.event, [event, 4]),
  holding: ({ round, wire }: WireRoundKey): Buffer => key(space.holding, [round, 4], [wire, 4]),
  wireRound: ({ wire, round }: WireRoundKey): Buffer => key(space.wireRound, [wire, 4], [round, 4]),
  wireStats: (wire: number): Buffer => key(space.wireStats, [wire, 4]),
  seen: (wire: number, peer: number): Buffer => key(space.seen, [wire, 4], [peer, 5]),

  wireHere: (wire: number): Buffer => key(space.wireHere, [wire, 4]),
  observation: ({ wire, peer, channel, teller, group }: ObservationKey): Buffer => {
    const bytes = Buffer.allocUnsafe(19)
    bytes[0] = space.observation
    bytes.writeUInt32BE(wire, 1)
    bytes.writeUIntBE(peer, 5, 5)
    bytes[10] = (channelCodes[channel] << 4) | tellerCodes[teller.kind]
    bytes.writeUIntBE(teller.number, 11, 5)
    bytes.writeUIntBE(group, 16, 3)
    return bytes
  },
  visit: ({ wire, peer, atMs }: VisitKey): Buffer => key(space.visit, [wire, 4], [peer, 5], [clampTime(atMs), 6]),
  report: (wire: number, { tracker, atMs }: ReportKey): Buffer =>
    key(space.report, [wire, 4], [tracker, 4], [clampTime(atMs), 6]),

  tellers: ({ round, wire }: WireRoundKey, channel: number, piece: number): Buffer =>
    key(space.tellers, [round, 4], [wire, 4], [channel, 1], [piece, 2]),
  block: ({ round, wire }: WireRoundKey, channel: number, lastPeer: number, block: number): Buffer =>
    key(space.block, [round, 4], [wire, 4], [channel, 1], [lastPeer, 5], [block, 4]),
  visits: ({ round, wire }: WireRoundKey, lastPeer: number, block: number): Buffer =>
    key(space.visits, [round, 4], [wire, 4], [lastPeer, 5], [block, 4]),
  sealedReport: ({ round, wire }: WireRoundKey, { tracker, atMs }: ReportKey): Buffer =>
    key(space.sealedReport, [round, 4], [wire, 4], [tracker, 4], [clampTime(atMs), 6]),
  identity: (peer: number): Buffer => key(space.identity, [peer, 5]),

  number: (endpoint: Endpoint): Buffer => Buffer.concat([key(space.number), encodeCompact(endpoint)]),
  endpoint: (peer: number): Buffer => key(space.endpoint, [peer, 5]),
} as const

/** From `from` to the end of the range. */
function tail(from: Buffer, { lt }: KeyRange): KeyRange {
  return { gte: from, lt }
}

export const ranges = {
  wireNames: range(key(space.wireName)) as KeyRange,
  trackerNames: range(key(space.trackerName)) as KeyRange,
  placeNames: range(key(space.placeName)) as KeyRange,
  torrents: range(key(space.torrent)) as KeyRange,
  rounds: range(key(space.round)) as KeyRange,
  events: range(key(space.event)) as KeyRange,
  holdings: (round: number): KeyRange => range(key(space.holding, [round, 4])),
  /** All that is derived. */
  derived: { gte: key(space.wireRound), lt: key(space.seen + 1) } as KeyRange,
  roundsOf: (wire: number): KeyRange => range(key(space.wireRound, [wire, 4])),
  seen: (wire: number): KeyRange => range(key(space.seen, [wire, 4])),

  wiresHere: range(key(space.wireHere)) as KeyRange,
  /** Of the peer alone where one is given. */
  observations: (wire: number, peer?: number): KeyRange =>
    range(key(space.observation, [wire, 4], ...(peer === undefined ? [] : [[peer, 5] as const]))),
  visits: (wire: number, peer?: number): KeyRange =>
    range(key(space.visit, [wire, 4], ...(peer === undefined ? [] : [[peer, 5] as const]))),
  reports: (wire: number): KeyRange => range(key(space.report, [wire, 4])),

  tellers: ({ round, wire }: WireRoundKey, channel: number): KeyRange =>
    range(key(space.tellers, [round, 4], [wire, 4], [channel, 1])),
  /** From the first one that can hold the peer on, where one is given. */
  blocks: ({ round, wire }: WireRoundKey, channel: number, peer = 0): KeyRange =>
    tail(
      key(space.block, [round, 4], [wire, 4], [channel, 1], [peer, 5]),
      range(key(space.block, [round, 4], [wire, 4], [channel, 1])),
    ),
  visitBlocks: ({ round, wire }: WireRoundKey, peer = 0): KeyRange =>
    tail(key(space.visits, [round, 4], [wire, 4], [peer, 5]), range(key(space.visits, [round, 4], [wire, 4]))),
  sealedReports: ({ round, wire }: WireRoundKey): KeyRange => range(key(space.sealedReport, [round, 4], [wire, 4])),
  /** The four spaces of a sealed week that are ordered by round. */
  sealedFacts: { gte: key(space.tellers), lt: key(space.identity) } as KeyRange,
  identities: range(key(space.identity)) as KeyRange,

  numbers: range(key(space.number)) as KeyRange,
  /** All ports of an address of 4 or 16 bytes. Keys of the other length can fall in between. */
  portsOf: (address: Uint8Array): KeyRange => range(Buffer.concat([key(space.number), address])),
  endpoints: range(key(space.endpoint)) as KeyRange,
  endpointsFrom: (peer: number): KeyRange => tail(key(space.endpoint, [peer, 5]), range(key(space.endpoint))),
  identitiesFrom: (peer: number): KeyRange => tail(key(space.identity, [peer, 5]), range(key(space.identity))),
  everything: { gte: Buffer.alloc(0), lt: Buffer.from([0xff]) } as KeyRange,
} as const

/** The number that ends the keys of wireName, trackerName, placeName, torrent, round, event, wireHere and wireRound. */
export function lastNumber(bytes: Buffer): number {
  return bytes.readUInt32BE(bytes.length - 4)
}

/** The peer that ends the keys of seen, identity and endpoint. */
export function lastPeer(bytes: Buffer): number {
  return bytes.readUIntBE(bytes.length - 5, 5)
}

/** Peer number, channel with teller kind, and teller: what rows of several groups have in common when they tell the same. */
export function sameFact(a: Buffer, b: Buffer): boolean {
  return a.compare(b, 0, 16, 0, 16) === 0
}

/** The numbers of an observation's key, without objects: there are millions. */
export function peerOf(bytes: Buffer): number {
  return bytes.readUIntBE(5, 5)
}

export function channelOfKey(bytes: Buffer): number {
  return (bytes[10] as number) >> 4
}

export function tellerOfKey(bytes: Buffer): number {
  return ((bytes[10] as number) & 0x0f) * KIND + bytes.readUIntBE(11, 5)
}

export function parseVisitKey(bytes: Buffer): VisitKey {
  return { wire: bytes.readUInt32BE(1), peer: peerOf(bytes), atMs: bytes.readUIntBE(10, 6) }
}

/** Tracker and time end the keys of reports, open or sealed. */
export function parseReportKey(bytes: Buffer): ReportKey {
  return { tracker: bytes.readUInt32BE(bytes.length - 10), atMs: bytes.readUIntBE(bytes.length - 6, 6) }
}

/** Round and wire number of the keys of a sealed week, but for identities. */
export function sealedScopeOf(bytes: Buffer): WireRoundKey {
  return { round: bytes.readUInt32BE(1), wire: bytes.readUInt32BE(5) }
}

/** The values that are numbers: 4 bytes in facts, 5 in the book. */
export function numberValue(value: number, bytes: 4 | 5): Buffer {
  const buffer = Buffer.allocUnsafe(bytes)
  buffer.writeUIntBE(value, 0, bytes)
  return buffer
}

export function parseNumberValue(value: Buffer): number {
  return value.readUIntBE(0, value.length)
}

/** What a peer number stands for. */
export interface AddressEntry {
  readonly endpoint: Endpoint
  /** 32 hex digits; see study-key.ts. */
  readonly pseudonym: string
  /** 40 hex digits, of the endpoint's latest reply as a DHT node; undefined when it never was one. */
  readonly nodeId: string | undefined
}

export function addressValue({ endpoint, pseudonym, nodeId }: AddressEntry): Buffer {
  const id = Buffer.from(nodeId ?? '', 'hex')
  // The id came from the network: of any other length the value could not be read back.
  return Buffer.concat([
    Buffer.from(pseudonym, 'hex'),
    encodeCompact(endpoint),
    id.length === 20 ? id : Buffer.alloc(0),
  ])
}

export function parseAddressValue(value: Buffer): AddressEntry {
  const rest = value.subarray(limits.pseudonymBytes)
  // 6 or 18 bytes of endpoint, with or without 20 of node id.
  const split = rest.length % 20
  return {
    endpoint: decodeCompact(rest.subarray(0, split)) as Endpoint,
    pseudonym: value.toString('hex', 0, limits.pseudonymBytes),
    nodeId: rest.length > split ? rest.toString('hex', split) : undefined,
  }
}
