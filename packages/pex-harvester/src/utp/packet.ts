/** The uTP packet (BEP 29): a header of 20 bytes, a chain of extensions, the payload. Pure: bytes to facts and back. */
import { Buffer } from 'node:buffer'
import { limits } from '@swarmatlas/core'

export const TYPE = { data: 0, fin: 1, state: 2, reset: 3, syn: 4 } as const
export type PacketType = (typeof TYPE)[keyof typeof TYPE]

export interface PacketHeader {
  readonly type: PacketType
  readonly connectionId: number
  /** The sender's clock, microseconds modulo 2^32. */
  readonly timestampUs: number
  /** How long the last packet of the other side was under way, by both clocks, modulo 2^32; 0 when none came yet. */
  readonly differenceUs: number
  readonly windowBytes: number
  readonly seq: number
  readonly ack: number
}

export interface Packet extends PacketHeader {
  /** Selective ACK: bit n (the least of a byte first) says that packet `ack + 2 + n` came. */
  readonly sack: Uint8Array | undefined
  /** A view of the datagram. */
  readonly payload: Uint8Array
}

export const HEADER_BYTES = 20
const VERSION = 1
const SELECTIVE_ACK = 1

/** Undefined for what is no uTP packet, or has an extension that is cut off. */
export function decodePacket(datagram: Uint8Array): Packet | undefined {
  if (datagram.length < HEADER_BYTES) return undefined
  const bytes = Buffer.from(datagram.buffer, datagram.byteOffset, datagram.length)
  const type = bytes.readUInt8(0) >> 4
  if ((bytes.readUInt8(0) & 0x0f) !== VERSION || !isType(type)) return undefined
  let sack: Uint8Array | undefined
  let extension = bytes.readUInt8(1)
  let at = HEADER_BYTES
  for (let count = 0; extension !== 0; count++) {
    if (count === limits.utpExtensions || at + 2 > bytes.length) return undefined
    const next = bytes.readUInt8(at)
    const end = at + 2 + bytes.readUInt8(at + 1)
    if (end > bytes.length) return undefined
    if (extension === SELECTIVE_ACK) sack ??= bytes.subarray(at + 2, end)
    extension = next
    at = end
  }
  return {
    type,
    connectionId: bytes.readUInt16BE(2),
    timestampUs: bytes.readUInt32BE(4),
    differenceUs: bytes.readUInt32BE(8),
    windowBytes: bytes.readUInt32BE(12),
    seq: bytes.readUInt16BE(16),
    ack: bytes.readUInt16BE(18),
    sack,
    payload: bytes.subarray(at),
  }
}

/** `sack`: a multiple of 4 bytes, at most 252 (BEP 29). */
export function encodePacket(header: PacketHeader, sack: Uint8Array | undefined, payload: Uint8Array): Uint8Array {
  const extensionBytes = sack === undefined ? 0 : 2 + sack.length
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + extensionBytes + payload.length)
  bytes.writeUInt8((header.type << 4) | VERSION, 0)
  bytes.writeUInt8(sack === undefined ? 0 : SELECTIVE_ACK, 1)
  bytes.writeUInt16BE(header.connectionId, 2)
  bytes.writeUInt32BE(header.timestampUs, 4)
  bytes.writeUInt32BE(header.differenceUs, 8)
  bytes.writeUInt32BE(header.windowBytes, 12)
  bytes.writeUInt16BE(header.seq, 16)
  bytes.writeUInt16BE(header.ack, 18)
  if (sack !== undefined) {
    bytes.writeUInt8(0, HEADER_BYTES)
    bytes.writeUInt8(sack.length, HEADER_BYTES + 1)
    bytes.set(sack, HEADER_BYTES + 2)
  }
  bytes.set(payload, HEADER_BYTES + extensionBytes)
  return bytes
}

function isType(type: number): type is PacketType {
  return type <= TYPE.syn
}
