import type { InfoHash } from '@swarmatlas/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeAnnounce,
  decodeConnect,
  decodeReply,
  decodeScrape,
  encodeAnnounce,
  encodeConnect,
  encodeScrape,
} from '../src/udp-messages.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const fromHex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))

const SWARM = '0123456789abcdef0123456789abcdef01234567' as InfoHash
const CONNECTION = fromHex('1122334455667788')
const request = {
  swarm: SWARM,
  peerId: Buffer.from('-SA0001-abcdefghijkl'),
  port: 51_413,
  key: 0x01020304,
  left: 0x100000001,
  event: 'started',
} as const

const ANNOUNCE =
  '1122334455667788' + // connection id
  '00000001' + // action
  'aabbccdd' + // transaction id
  SWARM +
  '2d5341303030312d6162636465666768696a6b6c' + // peer id
  '0000000000000000' + // downloaded
  '0000000100000001' + // left
  '0000000000000000' + // uploaded
  '00000002' + // event
  '00000000' + // IP address
  '01020304' + // key
  '000000c8' + // num_want
  'c8d5' // port

describe('requests, byte by byte (BEP 15)', () => {
  test('connect', () => {
    expect(hex(encodeConnect(0xaabbccdd))).toBe('000004172710198000000000aabbccdd')
  })

  test('announce', () => {
    expect(hex(encodeAnnounce(CONNECTION, 0xaabbccdd, request, ''))).toBe(ANNOUNCE)
  })

  test('the announce that repeats has event 0; the last has event 3 and wants no peers', () => {
    const none = hex(encodeAnnounce(CONNECTION, 1, { ...request, event: 'none' }, ''))
    expect(none.slice(160, 168)).toBe('00000000')
    const stopped = hex(encodeAnnounce(CONNECTION, 1, { ...request, event: 'stopped' }, ''))
    expect(stopped.slice(160, 168)).toBe('00000003')
    expect(stopped.slice(184, 192)).toBe('00000000')
  })

  test('path and query go behind the announce (BEP 41)', () => {
    const packet = hex(encodeAnnounce(CONNECTION, 0xaabbccdd, request, '/dir?a=b'))
    expect(packet).toBe(`${ANNOUNCE}02082f6469723f613d6200`)
  })

  test('what is longer than 255 bytes is cut into several options (BEP 41)', () => {
    const path = `/${'x'.repeat(299)}`
    const options = encodeAnnounce(CONNECTION, 1, request, path).subarray(98)
    expect([options[0], options[1], options[257], options[258], options.at(-1)]).toEqual([2, 255, 2, 45, 0])
    expect(options.length).toBe(300 + 2 * 2 + 1)
  })

  test('scrape', () => {
    const other = 'f'.repeat(40) as InfoHash
    expect(hex(encodeScrape(CONNECTION, 0xaabbccdd, [SWARM, other]))).toBe(
      `112233445566778800000002aabbccdd${SWARM}${other}`,
    )
  })
})

describe('replies (BEP 15)', () => {
  test('connect', () => {
    const reply = decodeReply(fromHex('00000000 aabbccdd 1122334455667788'))
    expect(reply).toMatchObject({ action: 0, transactionId: 0xaabbccdd })
    expect(hex(decodeConnect(reply?.body as Uint8Array) as Uint8Array)).toBe('1122334455667788')
  })

  test('announce over IPv4: interval, leechers, seeders, peers of 6 bytes', () => {
    const body = fromHex('00000708 00000003 00000002 01020304 1ae1 05060708 0001')
    expect(decodeAnnounce(body, 4)).toEqual({
      intervalS: 1800,
      leeches: 3,
      seeds: 2,
      peers: [
        { address: '1.2.3.4', port: 6881 },
        { address: '5.6.7.8', port: 1 },
      ],
    })
  })

  test('announce over IPv6: peers of 18 bytes, a fragment at the end left out', () => {
    const body = fromHex('00000708 00000000 00000001 20010db8000000000000000000000001 1ae1 20010db8')
    expect(decodeAnnounce(body, 6)?.peers).toEqual([{ address: '2001:db8::1', port: 6881 }])
  })

  test('an endpoint that is listed twice counts once', () => {
    const body = fromHex('00000708 00000000 00000001 01020304 1ae1 01020304 1ae1')
    expect(decodeAnnounce(body, 4)?.peers).toHaveLength(1)
  })

  test('scrape: seeders, completed, leechers in the order of the request; a short list leaves hashes out', () => {
    const other = 'f'.repeat(40) as InfoHash
    expect(decodeScrape(fromHex('00000001 00000002 00000003 000000'), [SWARM, other])).toEqual(
      new Map([[SWARM, { seeds: 1, downloads: 2, leeches: 3 }]]),
    )
  })

  test('too short for what it says to be', () => {
    expect(decodeReply(new Uint8Array(7))).toBeUndefined()
    expect(decodeConnect(new Uint8Array(7))).toBeUndefined()
    expect(decodeAnnounce(new Uint8Array(11), 4)).toBeUndefined()
  })

  test('no bytes can throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(4 as const, 6 as const), (bytes, family) => {
        const body = decodeReply(bytes)?.body ?? bytes
        decodeConnect(body)
        decodeScrape(body, [SWARM, SWARM])
        expect(decodeAnnounce(body, family)?.peers.length ?? 0).toBeLessThanOrEqual(bytes.length / 6)
      }),
    )
  })
})
