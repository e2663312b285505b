/** A UDP tracker (BEP 15): connect, announce, scrape, error. URL data after the announce (BEP 41) is let pass. */
import {
  type Clock,
  type Endpoint,
  encodeCompact,
  endpointKey,
  familyOf,
  type Host,
  infoHashFromBytes,
} from '@swarmatlas/core'
import { bounds } from './bounds.ts'
import type { Closers } from './closers.ts'
import type { SimCounters } from './counters.ts'
import type { Prng } from './prng.ts'
import type { TrackerList } from './tracker-list.ts'

const PROTOCOL_ID = 0x41727101980n
const CONNECT = 0
const ANNOUNCE = 1
const SCRAPE = 2
const ERROR = 3
const EVENT_STOPPED = 3

interface Components {
  udp: Host['udp']
  clock: Pick<Clock, 'monotonic'>
  list: TrackerList
  counters: SimCounters
  prng: Prng
  closers: Closers
}

/** Resolves with the announce URL. */
export async function openUdpTracker(
  { udp, clock, list, counters, prng, closers }: Components,
  { address }: { address: string },
): Promise<string> {
  const family = familyOf(address)
  /** Connection ids in the order of their making: to whom and when. */
  const connections = new Map<bigint, { client: string; atMs: number }>()

  function onMessage(bytes: Uint8Array, from: Endpoint): void {
    const request = Buffer.from(bytes)
    if (request.length < 16) {
      counters.trackerRefused++
      return
    }
    const action = request.readUInt32BE(8)
    const transaction = request.subarray(12, 16)
    const body = respond(action, request, from)
    if (typeof body === 'string') counters.trackerRefused++
    const header = Buffer.alloc(4)
    header.writeUInt32BE(typeof body === 'string' ? ERROR : action)
    socket.send(Buffer.concat([header, transaction, typeof body === 'string' ? Buffer.from(body) : body]), from)
  }

  /** The body of the reply, or what is wrong. */
  function respond(action: number, request: Buffer, from: Endpoint): Buffer | string {
    const connection = request.readBigUInt64BE(0)
    if (action === CONNECT) return connection === PROTOCOL_ID ? connect(from) : 'bad protocol id'
    dropExpired()
    if (connections.get(connection)?.client !== endpointKey(from)) return 'bad connection id'
    if (action === ANNOUNCE && request.length >= 98) return announce(request, from)
    if (action === SCRAPE && request.length >= 36) return scrape(request)
    return 'invalid request'
  }

  function connect(from: Endpoint): Buffer {
    dropExpired()
    const id = Buffer.from(prng.bytes(8))
    connections.set(id.readBigUInt64BE(), { client: endpointKey(from), atMs: clock.monotonic() })
    return id
  }

  function dropExpired(): void {
    for (const [id, { atMs }] of connections) {
      const expired = clock.monotonic() - atMs > bounds.udpConnectionMs
      if (!expired && connections.size < bounds.udpConnections) return
      connections.delete(id)
    }
  }

  function announce(request: Buffer, from: Endpoint): Buffer | string {
    const numwant = request.readInt32BE(92)
    const answer = list.announce({
      hash: infoHashFromBytes(request.subarray(16, 36)),
      client: { address: from.address, port: request.readUInt16BE(96) },
      left: Number(request.readBigUInt64BE(64)),
      stopped: request.readUInt32BE(80) === EVENT_STOPPED,
      numwant: numwant < 0 ? undefined : numwant,
    })
    if (answer === undefined) return 'unregistered torrent'
    const peers = answer.peers.filter((peer) => familyOf(peer.address) === family).map(encodeCompact)
    return Buffer.concat([numbers(bounds.trackerIntervalS, answer.incomplete, answer.complete), ...peers])
  }

  function scrape(request: Buffer): Buffer {
    const replies: Buffer[] = []
    for (let at = 16; at + 20 <= request.length && replies.length < bounds.udpScrapeHashes; at += 20) {
      const figures = list.scrape(infoHashFromBytes(request.subarray(at, at + 20)))
      replies.push(numbers(figures?.complete ?? 0, figures?.downloaded ?? 0, figures?.incomplete ?? 0))
    }
    return Buffer.concat(replies)
  }

  const socket = await udp.open({ family, address, onMessage, onError() {} })
  closers.add(() => socket.close())
  return `udp://${endpointKey(socket.local)}/announce`
}

function numbers(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, index * 4)
  return bytes
}
