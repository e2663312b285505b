import type { Duplex } from 'node:stream'
import { decodeBencode, type Encodable, encodeBencode, type InfoHash, infoHashBytes } from '@swarmatlas/core'

const PEER_ID: Uint8Array = Buffer.from('-TR4060-abcdefghijkl')
/** The ids under which the scripted peer wants its extension messages. */
export const PEER_METADATA = 3
export const PEER_PEX = 7

export interface Message {
  readonly id: number
  readonly payload: Uint8Array
}

export function frame(id: number, payload: Uint8Array = new Uint8Array()): Uint8Array {
  const bytes = Buffer.alloc(5 + payload.length)
  bytes.writeUInt32BE(1 + payload.length)
  bytes[4] = id
  bytes.set(payload, 5)
  return bytes
}

export function handshake(
  swarm: InfoHash,
  { fast = true, dht = false, extended = true, peerId = PEER_ID } = {},
): Uint8Array {
  const reserved = Buffer.from([0, 0, 0, 0, 0, extended ? 0x10 : 0, 0, (fast ? 4 : 0) | (dht ? 1 : 0)])
  return Buffer.concat([Buffer.from('\x13BitTorrent protocol', 'latin1'), reserved, infoHashBytes(swarm), peerId])
}

export function extension(id: number, payload: Uint8Array | Encodable): Uint8Array {
  const bytes = payload instanceof Uint8Array ? payload : encodeBencode(payload)
  return frame(20, Buffer.concat([Buffer.from([id]), bytes]))
}

export function index(piece: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(piece)
  return bytes
}

/** A peer played by the test: it records all it is sent and says what it is told to say. */
export class ScriptedPeer {
  readonly stream: Duplex
  #received: Buffer = Buffer.alloc(0)

  constructor(stream: Duplex) {
    this.stream = stream
    stream.on('error', () => {})
    stream.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
    })
  }

  get receivedHandshake(): Buffer {
    return this.#received.subarray(0, 68)
  }

  /** Keep-alives have id -1. */
  get received(): Message[] {
    const messages: Message[] = []
    for (let at = 68; at + 4 <= this.#received.length; ) {
      const length = this.#received.readUInt32BE(at)
      const body = this.#received.subarray(at + 4, at + 4 + length)
      messages.push({ id: body[0] ?? -1, payload: body.subarray(1) })
      at += 4 + length
    }
    return messages
  }

  get receivedExtension(): Map<string, unknown> | undefined {
    const message = this.received.find(({ id, payload }) => id === 20 && payload[0] === 0)
    return message && (decodeBencode(message.payload.subarray(1)) as Map<string, unknown>)
  }

  /** Pieces of metadata that were asked for. */
  get requested(): number[] {
    return this.received
      .filter(({ id, payload }) => id === 20 && payload[0] === PEER_METADATA)
      .map(({ payload }) => (decodeBencode(payload.subarray(1)) as Map<string, number>).get('piece') as number)
  }

  send(...parts: Uint8Array[]): void {
    for (const part of parts) this.stream.write(part)
  }

  sendMetadata(info: Uint8Array, pieces: Iterable<number>, totalSize: number = info.length): void {
    for (const piece of pieces) {
      const head = encodeBencode({ msg_type: 1, piece, total_size: totalSize })
      this.send(extension(1, Buffer.concat([head, info.subarray(piece * 16_384, (piece + 1) * 16_384)])))
    }
  }
}
