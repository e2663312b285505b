import { Duplex } from 'node:stream'
import {
  decodeBencode,
  type Endpoint,
  encodeBencode,
  infoHashBytes,
  parseInfoHash,
  read,
  type TcpStream,
  type UdpOptions,
} from '@swarmatlas/core'
import { nodeClock, nodeHost } from '@swarmatlas/core/node'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createClosers } from '../src/closers.ts'
import { createCounters } from '../src/counters.ts'
import { openDhtNode } from '../src/dht-node.ts'
import { runSession } from '../src/peer-session.ts'
import { createPrng } from '../src/prng.ts'
import { createTrackerList } from '../src/tracker-list.ts'
import { openUdpTracker } from '../src/udp-tracker.ts'
import { encodeExtended, encodeHandshake, encodeMessage } from '../src/wire.ts'

const stranger: Endpoint = { address: '127.0.0.9', port: 9 }
const hash = parseInfoHash('0123456789abcdef0123456789abcdef01234567')
if (hash === undefined) throw new Error('a valid hash was meant')

/** A UDP seam of one socket: bytes go in through `deliver`, replies are kept. */
function udpProbe() {
  const sent: Uint8Array[] = []
  let options: UdpOptions | undefined
  return {
    sent,
    deliver: (bytes: Uint8Array) => options?.onMessage(bytes, stranger),
    open(opened: UdpOptions) {
      options = opened
      const local = { address: '127.0.0.1', port: 1 }
      const send = (bytes: Uint8Array) => void sent.push(bytes)
      return Promise.resolve({ local, receiveBufferBytes: 0, send, close: () => Promise.resolve() })
    },
  }
}

/** A message with some bytes changed, or cut. */
const mutantOf = (bytes: Uint8Array) =>
  fc
    .tuple(fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { maxLength: 4 }), fc.option(fc.nat(bytes.length)))
    .map(([changes, cut]) => {
      const mutant = Buffer.from(bytes)
      for (const [at, value] of changes) mutant[at] = value
      return mutant.subarray(0, cut ?? undefined)
    })

test('no datagram makes a DHT node throw, and every reply is bencode', async () => {
  const udp = udpProbe()
  const prng = createPrng(1)
  const id = prng.bytes(20)
  await openDhtNode({ udp, counters: createCounters(), prng }, { address: '127.0.0.1', id, dead: false })
  const args = { id, target: id, info_hash: id, port: 5, token: 'x', implied_port: 1 }
  const query = (q: string) => encodeBencode({ t: 'aa', y: 'q', q, a: args })
  const mutants = ['ping', 'find_node', 'get_peers', 'announce_peer'].map((method) => mutantOf(query(method)))
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), ...mutants), (bytes) => {
      udp.sent.length = 0
      udp.deliver(bytes)
      expect(udp.sent.length).toBeLessThanOrEqual(1)
      for (const reply of udp.sent) expect(decodeBencode(reply)).toBeInstanceOf(Map)
    }),
    { numRuns: 1_000 },
  )
  udp.sent.length = 0
  udp.deliver(query('ping'))
  expect(read.text(decodeBencode(udp.sent[0] as Uint8Array) as never, 'y')).toBe('r')
})

test('no datagram makes the UDP tracker throw', async () => {
  const udp = udpProbe()
  const counters = createCounters()
  const prng = createPrng(1)
  const list = createTrackerList({ counters, prng })
  list.register(hash, [])
  const closers = createClosers()
  await openUdpTracker({ udp, clock: nodeClock, list, counters, prng, closers }, { address: '127.0.0.1' })
  const hello = Buffer.alloc(16)
  hello.writeBigUInt64BE(0x41727101980n)
  udp.deliver(hello)
  const connection = Buffer.from(udp.sent[0] as Uint8Array).subarray(8, 16)
  const request = (action: number, length: number) => {
    const bytes = Buffer.alloc(length, 7)
    connection.copy(bytes)
    bytes.writeUInt32BE(action, 8)
    bytes.set(infoHashBytes(hash), 16)
    return bytes
  }
  const mutants = [request(1, 98), request(2, 36), request(1, 130), hello].map(mutantOf)
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), ...mutants), (bytes) => {
      udp.sent.length = 0
      udp.deliver(bytes)
      expect(udp.sent.length).toBeLessThanOrEqual(1)
    }),
    { numRuns: 1_000 },
  )
})

test('no stream makes a session throw', () => {
  const host = nodeHost()
  const peerId = createPrng(1).bytes(20)
  const reserved = { extensions: true, fast: true, dht: true }
  const whole = Buffer.concat([
    encodeHandshake({ reserved, infoHash: infoHashBytes(hash), peerId }),
    encodeExtended(0, { m: { ut_metadata: 3, ut_pex: 4 } }),
    encodeExtended(2, { msg_type: 0, piece: 0 }),
    encodeExtended(2, { msg_type: 0, piece: 7 }),
    encodeMessage(2),
    encodeMessage(5, new Uint8Array(3)),
  ])
  const counters = createCounters()
  fc.assert(
    fc.property(
      fc.oneof(mutantOf(whole), fc.uint8Array({ maxLength: 300 })),
      fc.integer({ min: 1, max: 90 }),
      (bytes, step) => {
        const stream = new Duplex({ read() {}, write: (_, __, done) => done() }) as TcpStream
        const persona = {
          hashes: [hash],
          peerId,
          client: undefined,
          listenPort: 1,
          pieces: [true, false],
          uploadOnly: false,
          infoBytes: Buffer.from('de'),
          private: false,
          withholdsMetadata: false,
        }
        runSession({ clock: host.clock, counters }, { stream, from: stranger, persona, connected: [] })
        for (let at = 0; at < bytes.length; at += step) stream.emit('data', bytes.subarray(at, at + step))
        stream.emit('close')
        stream.destroy()
      },
    ),
    { numRuns: 500 },
  )
  expect(counters.peerHandshakes).toBeGreaterThan(50)
  expect(counters.metadataRequests).toBeGreaterThan(20)
})
