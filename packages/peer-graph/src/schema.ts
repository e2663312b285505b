/**
 * The key schema, version 1: the one file that knows the bytes of keys. Integers are unsigned and big-endian, so that
 * LevelDB's byte order is theirs. Peer numbers have 5 bytes; they are never reused.
 *
 * facts/ (no address anywhere)
 * | space       | key after the space byte                                        | value                              |
 * |-------------|-----------------------------------------------------------------|------------------------------------|
 * | meta        | name, text                                                      | JSON                               |
 * | wire        | wire hash 20                                                    | wire number 4                      |
 * | wireName    | wire number 4                                                   | wire hash, text                    |
 * | tracker     | redacted URL, text                                              | tracker number 4                   |
 * | trackerName | tracker number 4                                                | redacted URL, text                 |
 * | owner       | wire number 4                                                   | torrent number 4                   |
 * | torrent     | torrent number 4 (the wire number of one of its hashes)         | JSON, see torrents.ts              |
 * | round       | round 4                                                         | JSON, see rounds.ts                |
 * | wireRound   | wire number 4, round 4                                          | empty; derived: the round has facts of the wire hash |
 * | observation | round 4, wire number 4, peer 5, channel and teller kind 1, teller 5 | see observation-row.ts; teller: peer number, tracker number or 0 |
 * | visit       | round 4, wire number 4, peer 5, time 6                          | see visit-row.ts                   |
 * | report      | round 4, wire number 4, tracker number 4, time 6                | JSON of a TrackerReport            |
 * | roundCounts | round 4                                                         | JSON; derived when the round is sealed |
 *
 * book-<ISO week>/ (the address book: one LevelDB for each week in which an endpoint was met; dropped as a whole)
 * | space       | key after the space byte                                        | value                              |
 * |-------------|-----------------------------------------------------------------|------------------------------------|
 * | number      | compact endpoint 6 or 18                                        | peer number 5                      |
 * | endpoint    | peer number 5                                                   | compact endpoint, and 20 bytes of node id where it is a DHT node |
 */
import { type Channel, decodeCompact, type Endpoint, encodeCompact, type Teller } from '@swarmatlas/core'
import { clampTime } from './bytes.ts'

export const schemaVersion = 1

const space = {
  meta: 0x00,
  wire: 0x01,
  wireName: 0x02,
  tracker: 0x03,
  trackerName: 0x04,
  owner: 0x05,
  torrent: 0x06,
  round: 0x07,
  wireRound: 0x08,
  observation: 0x10,
  visit: 0x11,
  report: 0x12,
  roundCounts: 0x20,
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

export interface ObservationKey {
  readonly round: number
  readonly wire: number
  readonly peer: number
  readonly channel: Channel
  readonly teller: TellerRef
}

export interface VisitKey {
  readonly round: number
  readonly wire: number
  readonly peer: number
  readonly atMs: number
}

export interface ReportKey {
  readonly round: number
  readonly wire: number
  readonly tracker: number
  readonly atMs: number
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
  round: (round: number): Buffer => key(space.round, [round, 4]),
  wireRound: (wire: number, round: number): Buffer => key(space.wireRound, [wire, 4], [round, 4]),
  observation: ({ round, wire, peer, channel, teller }: ObservationKey): Buffer =>
    key(
      space.observation,
      [round, 4],
      [wire, 4],
      [peer, 5],
      [(channelCodes[channel] << 4) | tellerCodes[teller.kind], 1],
      [teller.number, 5],
    ),
  visit: ({ round, wire, peer, atMs }: VisitKey): Buffer =>
    key(space.visit, [round, 4], [wire, 4], [peer, 5], [clampTime(atMs), 6]),
  report: ({ round, wire, tracker, atMs }: ReportKey): Buffer =>
    key(space.report, [round, 4], [wire, 4], [tracker, 4], [clampTime(atMs), 6]),
  roundCounts: (round: number): Buffer => key(space.roundCounts, [round, 4]),
  number: (endpoint: Endpoint): Buffer => Buffer.concat([key(space.number), encodeCompact(endpoint)]),
  endpoint: (peer: number): Buffer => key(space.endpoint, [peer, 5]),
} as const

export const ranges = {
  wireNames: range(key(space.wireName)) as KeyRange,
  trackerNames: range(key(space.trackerName)) as KeyRange,
  torrents: range(key(space.torrent)) as KeyRange,
  rounds: range(key(space.round)) as KeyRange,
  roundsOf: (wire: number): KeyRange => range(key(space.wireRound, [wire, 4])),
  observations: (round: number, wire: number): KeyRange => range(key(space.observation, [round, 4], [wire, 4])),
  visits: (round: number, wire: number): KeyRange => range(key(space.visit, [round, 4], [wire, 4])),
  reports: (round: number, wire: number): KeyRange => range(key(space.report, [round, 4], [wire, 4])),
} as const

/** The number that ends the keys of wireName, trackerName, torrent, round and wireRound. */
export function lastNumber(bytes: Buffer): number {
  return bytes.readUInt32BE(bytes.length - 4)
}

export function isVisitKey(bytes: Buffer): boolean {
  return bytes[0] === space.visit
}

/** Where the peer number begins in the keys of observations and visits: rows of several rounds and wires are merged from here on. */
export const peerOffset = 9

/** The peer number of an observation's or a visit's key. */
export function peerOf(bytes: Buffer): number {
  return bytes.readUIntBE(peerOffset, 5)
}

/** Channel and teller of an observation's key. */
export function saidOf(bytes: Buffer): Buffer {
  return bytes.subarray(14)
}

/** Peer, channel and teller of an observation's key. */
export function edgeOf(bytes: Buffer): Buffer {
  return bytes.subarray(peerOffset)
}

export function parseObservationKey(bytes: Buffer): ObservationKey {
  const code = bytes.readUInt8(14)
  return {
    round: bytes.readUInt32BE(1),
    wire: bytes.readUInt32BE(5),
    peer: peerOf(bytes),
    channel: channelNames[code >> 4] as Channel,
    teller: { kind: tellerNames[code & 0x0f] as Teller['kind'], number: bytes.readUIntBE(15, 5) },
  }
}

export function parseVisitKey(bytes: Buffer): VisitKey {
  return {
    round: bytes.readUInt32BE(1),
    wire: bytes.readUInt32BE(5),
    peer: peerOf(bytes),
    atMs: bytes.readUIntBE(14, 6),
  }
}

export function parseReportKey(bytes: Buffer): ReportKey {
  return {
    round: bytes.readUInt32BE(1),
    wire: bytes.readUInt32BE(5),
    tracker: bytes.readUInt32BE(9),
    atMs: bytes.readUIntBE(13, 6),
  }
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
  /** 40 hex digits, of the endpoint's latest reply as a DHT node; undefined when it never was one. */
  readonly nodeId: string | undefined
}

export function addressValue({ endpoint, nodeId }: AddressEntry): Buffer {
  const id = Buffer.from(nodeId ?? '', 'hex')
  // The id came from the network: of any other length the value could not be read back.
  return Buffer.concat([encodeCompact(endpoint), id.length === 20 ? id : Buffer.alloc(0)])
}

export function parseAddressValue(value: Buffer): AddressEntry {
  // 6 or 18 bytes of endpoint, with or without 20 of node id.
  const split = value.length % 20
  return {
    endpoint: decodeCompact(value.subarray(0, split)) as Endpoint,
    nodeId: value.length > split ? value.toString('hex', split) : undefined,
  }
}
