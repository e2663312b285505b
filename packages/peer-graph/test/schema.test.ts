import { type Channel, channels, type Endpoint } from '@swarmatlas/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  addressValue,
  edgeOf,
  keys,
  lastNumber,
  numberValue,
  parseAddressValue,
  parseNumberValue,
  parseObservationKey,
  parseReportKey,
  parseVisitKey,
  peerOf,
  ranges,
} from '../src/schema.ts'

const u32 = fc.oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.constantFrom(0, 255, 256, 2 ** 32 - 1))
const u40 = fc.oneof(fc.integer({ min: 0, max: 2 ** 40 - 1 }), fc.constantFrom(0, 2 ** 32, 2 ** 40 - 1))
const u48 = fc.integer({ min: 0, max: 2 ** 48 - 1 })
const observationKey = fc.record({
  round: u32,
  wire: u32,
  peer: u40,
  channel: fc.constantFrom<Channel>(...channels),
  teller: fc.record({ kind: fc.constantFrom('dht-node', 'tracker', 'peer', 'self'), number: u40 }),
})
const visitKey = fc.record({ round: u32, wire: u32, peer: u40, atMs: u48 })
const reportKey = fc.record({ round: u32, wire: u32, tracker: u32, atMs: u48 })
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
        expect(parseObservationKey(keys.observation(key))).toEqual(key)
      }),
    )
    fc.assert(
      fc.property(visitKey, (key) => {
        expect(parseVisitKey(keys.visit(key))).toEqual(key)
      }),
    )
    fc.assert(
      fc.property(reportKey, (key) => {
        expect(parseReportKey(keys.report(key))).toEqual(key)
      }),
    )
    fc.assert(
      fc.property(observationKey, (key) => {
        expect(peerOf(keys.observation(key))).toBe(key.peer)
      }),
    )
    fc.assert(
      fc.property(u32, (round) => {
        expect(lastNumber(keys.round(round))).toBe(round)
      }),
    )
  })

  it('sort as their numbers do: round, wire, peer, then time', () => {
    fc.assert(
      fc.property(visitKey, visitKey, (a, b) => {
        const order = firstDifference([a.round, a.wire, a.peer, a.atMs], [b.round, b.wire, b.peer, b.atMs])
        expect(keys.visit(a).compare(keys.visit(b))).toBe(order)
      }),
    )
    fc.assert(
      fc.property(observationKey, observationKey, (a, b) => {
        const order = firstDifference([a.round, a.wire, a.peer], [b.round, b.wire, b.peer])
        if (order !== 0) expect(keys.observation(a).compare(keys.observation(b))).toBe(order)
      }),
    )
  })

  it('differ when any field differs', () => {
    fc.assert(
      fc.property(observationKey, observationKey, (a, b) => {
        expect(keys.observation(a).equals(keys.observation(b))).toBe(JSON.stringify(a) === JSON.stringify(b))
        const sameEdge = JSON.stringify({ ...a, round: 0, wire: 0 }) === JSON.stringify({ ...b, round: 0, wire: 0 })
        expect(edgeOf(keys.observation(a)).equals(edgeOf(keys.observation(b)))).toBe(sameEdge)
      }),
    )
  })

  it('fall into the range of their round and wire hash, and into no other', () => {
    fc.assert(
      fc.property(observationKey, u32, u32, (key, round, wire) => {
        const bytes = keys.observation(key)
        const own = ranges.observations(key.round, key.wire)
        expect(own.gte.compare(bytes) <= 0 && bytes.compare(own.lt) < 0).toBe(true)
        const other = ranges.observations(round, wire)
        const inOther = other.gte.compare(bytes) <= 0 && bytes.compare(other.lt) < 0
        expect(inOther).toBe(round === key.round && wire === key.wire)
      }),
    )
  })

  it('of a fact take 20 bytes and hold numbers only', () => {
    const key = { round: 1, wire: 2, peer: 3, channel: 'pex', teller: { kind: 'peer', number: 4 } } as const
    expect(keys.observation(key).toString('hex')).toBe('100000000100000002000000000322' + '0000000004')
  })
})

describe('values', () => {
  it('of the address book are read back as they were written', () => {
    const nodeId = fc.option(fc.uint8Array({ minLength: 20, maxLength: 20 }), { nil: undefined })
    fc.assert(
      fc.property(endpoint, nodeId, (endpoint, bytes) => {
        const entry = { endpoint, nodeId: bytes && Buffer.from(bytes).toString('hex') }
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
