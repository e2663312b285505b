/** The peer wire protocol in bytes: handshake (BEP 3), messages, extension messages (BEP 10), fast extension (BEP 6). */
import { type BencodedDict, decodeBencodePrefix, type Encodable, encodeBencode } from '@swarmatlas/core'
import { bounds } from './bounds.ts'

const LIMITS = { maxDepth: bounds.extensionDepth, maxItems: bounds.extensionItems }
export const HANDSHAKE_BYTES = 68
const PROTOCOL = Buffer.from('\u0013BitTorrent protocol', 'latin1')

export const messageId = {
  interested: 2,
  have: 4,
  bitfield: 5,
  request: 6,
  piece: 7,
  haveAll: 14,
  haveNone: 15,
  extended: 20,
} as const

/** Reserved bits of the handshake. */
interface Reserved {
  readonly extensions: boolean
  readonly fast: boolean
  readonly dht: boolean
}

export interface Handshake {
  readonly reserved: Reserved
  readonly infoHash: Uint8Array
  readonly peerId: Uint8Array
}

/** True while the bytes may be the begin of a handshake. */
export function mayBeHandshake(bytes: Uint8Array): boolean {
  const length = Math.min(bytes.length, PROTOCOL.length)
  return PROTOCOL.subarray(0, length).equals(bytes.subarray(0, length))
}

/** Reads HANDSHAKE_BYTES bytes for which mayBeHandshake holds. */
export function decodeHandshake(bytes: Uint8Array): Handshake {
  const fast = bytes[27] as number
  return {
    reserved: {
      extensions: ((bytes[25] as number) & 0x10) !== 0,
      fast: (fast & 0x04) !== 0,
      dht: (fast & 0x01) !== 0,
    },
    infoHash: bytes.subarray(28, 48),
    peerId: bytes.subarray(48, 68),
  }
}

export function encodeHandshake({ reserved, infoHash, peerId }: Handshake): Uint8Array {
  const bits = new Uint8Array(8)
  if (reserved.extensions) bits[5] = 0x10
  bits[7] = (reserved.fast ? 0x04 : 0) | (reserved.dht ? 0x01 : 0)
  return Buffer.concat([PROTOCOL, bits, infoHash, peerId])
}

export function encodeMessage(id: number, ...payload: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat(payload)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(body.length + 1)
  head[4] = id
  return Buffer.concat([head, body])
}

/** `trailing`: raw bytes behind the dictionary (BEP 9). */
export function encodeExtended(
  id: number,
  dict: { readonly [key: string]: Encodable | undefined },
  trailing: Uint8Array = new Uint8Array(),
): Uint8Array {
  return encodeMessage(messageId.extended, Uint8Array.of(id), encodeBencode(dict), trailing)
}

/** Id and dictionary of an extension message's payload; undefined when it holds none. */
export function decodeExtended(payload: Uint8Array): { id: number; dict: BencodedDict } | undefined {
  const id = payload[0]
  const decoded = decodeBencodePrefix(payload.subarray(1), LIMITS)
  return id !== undefined && decoded?.value instanceof Map ? { id, dict: decoded.value } : undefined
}
