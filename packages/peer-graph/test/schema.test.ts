import { type Channel, channels, type Endpoint } from '@swarmatlas/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  addressValue,
  channelCode,
  channelOfKey,
  keys,
  lastNumber,
  numberValue,
  parseAddressValue,
  parseNumberValue,
  parseReportKey,
  parseVisitKey,
  peerOf,
  ranges,
  sameFact,
  tellerId,
  tellerOfId,
  tellerOfKey,
} from '../src/schema.ts'

const u32 = fc.oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.constantFrom(0, 255, 256, 2 ** 32 - 1))
const u40 = fc.oneof(fc.integer({ min: 0, max: 2 ** 40 - 1 }), fc.constantFrom(0, 2 ** 32, 2 ** 40 - 1))
const u48 = fc.integer({ min: 0, max: 2 ** 48 - 1 })
const u24 = fc.integer({ min: 0, max: 2 ** 24 - 1 })
const observationKey = fc.record({
  group: u24,
  wire: u32,
  peer: u40,
  channel: fc.constantFrom<Channel>(...channels),
  teller: fc.record({ kind: fc.constantFrom('dht-node', 'tracker', 'peer', 'self'), number: u40 }),
})
const visitKey = fc.record({ wire: u32, peer: u40, atMs: u48 })
const reportKey = fc.record({ tracker: u32, atMs: u48 })
const endpoint = fc.record({
  address: fc.constantFrom('192.0.2.1', '255.255.255.255', '2001:db8::1', '::'),
  port: fc.integer({ min: 0, max: 65_535 }),
}) satisfies fc.Arbitrary<Endpoint>

function firstDifference(a: readonly number[], b: readonly number[]): number {
  return Math.sign(a.map((value, i) => value - (b[i] as number)).find((difference) => difference !== 0) ?? 0)
}

describe('keys', () => {
  it('are read back as they were built', () => {
    fc.assert(
      fc.property(observationKey, (key) => {
        const bytes = keys.observation(key)
        expect([peerOf(bytes), channelOfKey(bytes)]).toEqual([key.peer, channelCode(key.channel)])
        expect(tellerOfId(tellerOfKey(bytes))).toEqual(key.teller)
        expect(tellerOfKey(bytes)).toBe(tellerId(key.teller))
      }),
    )
    fc.assert(
      fc.property(visitKey, (key) => {
        expect(parseVisitKey(keys.visit(key))).toEqual(key)
      }),
    )
    fc.assert(
      fc.property(reportKey, u32, (key, wire) => {
        expect(parseReportKey(keys.report(wire, key))).toEqual(key)
      }),
    )
    fc.assert(
      fc.property(u32, (round) => {
        expect(lastNumber(keys.round(round))).toBe(round)
      }),
    )
  })

  it('sort as their numbers do: wire, peer, then time', () => {
    fc.assert(
      fc.property(visitKey, visitKey, (a, b) => {
        const order = firstDifference([a.wire, a.peer, a.atMs], [b.wire, b.peer, b.atMs])
        expect(keys.visit(a).compare(keys.visit(b))).toBe(order)
      }),
    )
    fc.assert(
      fc.property(observationKey, observationKey, (a, b) => {
        const order = firstDifference([a.wire, a.peer], [b.wire, b.peer])
        if (order !== 0) expect(keys.observation(a).compare(keys.observation(b))).toBe(order)
      }),
    )
  })

  it('differ when any field differs', () => {
    fc.assert(
      fc.property(observationKey, observationKey, (a, b) => {
        expect(keys.observation(a).equals(keys.observation(b))).toBe(JSON.stringify(a) === JSON.stringify(b))
        const same = JSON.stringify({ ...a, group: 0 }) === JSON.stringify({ ...b, group: 0 })
        expect(sameFact(keys.observation(a), keys.observation(b))).toBe(same)
      }),
    )
  })

  it('fall into the range of their wire hash and peer, and into no other', () => {
    fc.assert(
      fc.property(observationKey, u32, fc.option(u40), (key, wire, peer) => {
        const bytes = keys.observation(key)
        const own = ranges.observations(key.wire, key.peer)
        expect(own.gte.compare(bytes) <= 0 && bytes.compare(own.lt) < 0).toBe(true)
        const other = ranges.observations(wire, peer ?? undefined)
        const inOther = other.gte.compare(bytes) <= 0 && bytes.compare(other.lt) < 0
        expect(inOther).toBe(wire === key.wire && (peer === null || peer === key.peer))
      }),
    )
  })

  it('of a fact take 19 bytes and hold numbers only', () => {
    const key = { wire: 2, peer: 3, channel: 'pex', teller: { kind: 'peer', number: 4 }, group: 5 } as const
    expect(keys.observation(key).toString('hex')).toBe('10000000020000000003220000000004000005')
  })
})

describe('values', () => {
  it('of the address book are read back as they were written', () => {
    const nodeId = fc.option(fc.uint8Array({ minLength: 20, maxLength: 20 }), { nil: undefined })
    fc.assert(
      fc.property(endpoint, nodeId, (endpoint, bytes) => {
        const entry = { endpoint, pseudonym: '0f'.repeat(16), nodeId: bytes && Buffer.from(bytes).toString('hex') }
        expect(parseAddressValue(addressValue(entry))).toEqual(entry)
      }),
    )
    fc.assert(
      fc.property(u40, (number) => {
        expect(parseNumberValue(numberValue(number, 5))).toBe(number)
      }),
    )
  })
})
