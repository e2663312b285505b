/** The UDP tracker protocol's packets: BEP 15, with BEP 41's URL data. All integers are big-endian. */
import { decodeCompactList, type Family, type InfoHash, infoHashBytes, limits } from '@swarmatlas/core'
import { type AnnounceReply, type AnnounceRequest, distinctEndpoints, type ScrapeFigures } from './answer.ts'

export const ACTION = { connect: 0, announce: 1, scrape: 2, error: 3 } as const

/** BEP 15: a constant that tells the protocol. */
const PROTOCOL_ID = 0x41727101980n
const EVENT = { none: 0, started: 2, stopped: 3 } as const
/** BEP 41: an option is its type, the length of its data in one byte, and the data. */
const URL_DATA = 0x02
const END_OF_OPTIONS = 0x00
const OPTION_BYTES = 255

export function encodeConnect(transactionId: number): Uint8Array {
  const packet = Buffer.alloc(16)
  packet.writeBigUInt64BE(PROTOCOL_ID, 0)
  packet.writeUInt32BE(ACTION.connect, 8)
  packet.writeUInt32BE(transactionId, 12)
  return packet
}

/** `urlData`: path and query of the tracker's URL (BEP 41); none when empty. */
export function encodeAnnounce(
  connectionId: Uint8Array,
  transactionId: number,
  request: AnnounceRequest,
  urlData: string,
): Uint8Array {
  const packet = Buffer.alloc(98)
  packet.set(connectionId, 0)
  packet.writeUInt32BE(ACTION.announce, 8)
  packet.writeUInt32BE(transactionId, 12)
  packet.set(infoHashBytes(request.swarm), 16)
  packet.set(request.peerId, 36)
  // 56: downloaded, 0.
  packet.writeBigUInt64BE(BigInt(request.left), 64)
  // 72: uploaded, 0.
  packet.writeUInt32BE(EVENT[request.event], 80)
  // 84: our address, 0: the tracker takes the packet's source.
  packet.writeUInt32BE(request.key, 88)
  packet.writeInt32BE(request.event === 'stopped' ? 0 : limits.numwant, 92)
  packet.writeUInt16BE(request.port, 96)
  return urlData === '' ? packet : Buffer.concat([packet, encodeUrlData(urlData)])
}

function encodeUrlData(urlData: string): Uint8Array {
  const data = Buffer.from(urlData, 'latin1')
  const parts: Uint8Array[] = []
  for (let at = 0; at < data.length; at += OPTION_BYTES) {
    const part = data.subarray(at, at + OPTION_BYTES)
    parts.push(Buffer.from([URL_DATA, part.length]), part)
  }
  return Buffer.concat([...parts, Buffer.from([END_OF_OPTIONS])])
}

/** At most limits.trackerUdpScrapeHashes hashes. */
export function encodeScrape(connectionId: Uint8Array, transactionId: number, swarms: readonly InfoHash[]): Uint8Array {
  const packet = Buffer.alloc(16 + 20 * swarms.length)
  packet.set(connectionId, 0)
  packet.writeUInt32BE(ACTION.scrape, 8)
  packet.writeUInt32BE(transactionId, 12)
  for (const [i, swarm] of swarms.entries()) packet.set(infoHashBytes(swarm), 16 + 20 * i)
  return packet
}

export interface UdpReply {
  readonly action: number
  readonly transactionId: number
  /** What follows action and transaction id. */
  readonly body: Uint8Array
}

/** Undefined when the packet is too short to be a reply. */
export function decodeReply(bytes: Uint8Array): UdpReply | undefined {
  if (bytes.length < 8) return undefined
  const packet = asBuffer(bytes)
  return { action: packet.readUInt32BE(0), transactionId: packet.readUInt32BE(4), body: bytes.subarray(8) }
}

/** The 8 bytes of a connection id. */
export function decodeConnect(body: Uint8Array): Uint8Array | undefined {
  return body.length < 8 ? undefined : body.slice(0, 8)
}

/** `family` of the address that was asked: an IPv6 announce is answered with entries of 18 bytes. */
export function decodeAnnounce(body: Uint8Array, family: Family): AnnounceReply | undefined {
  if (body.length < 12) return undefined
  const packet = asBuffer(body)
  return {
    intervalS: packet.readUInt32BE(0),
    leeches: packet.readUInt32BE(4),
    seeds: packet.readUInt32BE(8),
    peers: distinctEndpoints(decodeCompactList(body.subarray(12), family, limits.trackerPeers)),
  }
}

/** Figures come in the order of the request; a tracker may cut the list. */
export function decodeScrape(body: Uint8Array, swarms: readonly InfoHash[]): Map<InfoHash, ScrapeFigures> {
  const packet = asBuffer(body)
  const found = new Map<InfoHash, ScrapeFigures>()
  for (const [i, swarm] of swarms.entries()) {
    const at = 12 * i
    if (body.length < at + 12) break
    found.set(swarm, {
      seeds: packet.readUInt32BE(at),
      downloads: packet.readUInt32BE(at + 4),
      leeches: packet.readUInt32BE(at + 8),
    })
  }
  return found
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
