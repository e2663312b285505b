import { type Observation, SwarmatlasError, type Visit } from '@swarmatlas/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeRow, encodeRow, flagsOf, mergeRows, pexOf, rowOf } from '../src/observation-row.ts'
import { addressValue, parseAddressValue } from '../src/schema.ts'
import { decodeVisit, encodeVisit } from '../src/visit-row.ts'
import { A, byPex, ip, visitTo } from './fixtures.ts'

const whole = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const flag = fc.constantFrom('suspect-port', 'swapped-port', 'dropped', 'other-port', 'other-id')
const pex = fc.record({
  prefersEncryption: fc.boolean(),
  seed: fc.boolean(),
  utp: fc.boolean(),
  holepunch: fc.boolean(),
  reachable: fc.boolean(),
})
const observation: fc.Arbitrary<Observation> = fc
  .record({ atMs: fc.integer({ min: 0, max: 2 ** 47 }), flags: fc.uniqueArray(flag), pex: fc.option(pex) })
  .map(
    ({ pex, ...rest }) =>
      byPex('192.0.2.1:1', '192.0.2.2:2', { ...rest, ...(pex === null ? {} : { pex }) }) as Observation,
  )

const visit: fc.Arbitrary<Visit> = fc.record(
  {
    atMs: fc.constant(5),
    swarm: fc.constant(A),
    peer: fc.constant(ip('192.0.2.2:2')),
    outcome: fc.constantFrom(
      'ok',
      'timeout',
      'refused',
      'reset',
      'unreachable',
      'bad-message',
      'over-budget',
      'forbidden',
      'not-tried',
    ),
    opened: fc.boolean(),
    handshaken: fc.boolean(),
    refuted: fc.boolean(),
    transport: fc.constantFrom('tcp', 'utp'),
    encryption: fc.constantFrom('plain', 'mse'),
    peerId: fc.uint8Array({ minLength: 20, maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('hex')),
    client: fc.string({ unit: 'binary' }).filter((text) => Buffer.from(text).toString() === text),
    role: fc.constantFrom('seed', 'leech', 'partial'),
    progress: fc.double({ min: 0, max: 1, noNaN: true }).map((value) => value + 0),
    listenPort: fc.integer({ min: 0, max: 65_535 }),
    metadataSize: whole,
    attempts: whole,
    speaksPex: fc.boolean(),
    pexAdded: whole,
    durationMs: whole,
    bytesIn: whole,
    bytesOut: whole,
  },
  {
    requiredKeys: [
      ...(['atMs', 'swarm', 'peer', 'outcome', 'opened', 'handshaken', 'refuted', 'transport'] as const),
      ...(['encryption', 'pexAdded', 'durationMs', 'bytesIn', 'bytesOut'] as const),
    ],
  },
)

describe('an observation row', () => {
  it('keeps time, count, flags and PEX flags of one observation', () => {
    fc.assert(
      fc.property(observation, (seen) => {
        const row = decodeRow(encodeRow(rowOf(seen)))
        expect(row).toEqual(rowOf(seen))
        expect(new Set(flagsOf(row.flags))).toEqual(new Set(seen.flags))
        expect(pexOf(row.pex)).toEqual(seen.pex ?? null)
      }),
    )
  })

  it('is the same in whatever order and grouping observations are merged', () => {
    fc.assert(
      fc.property(observation, observation, observation, (a, b, c) => {
        const [x, y, z] = [rowOf(a), rowOf(b), rowOf(c)]
        const merged = mergeRows(mergeRows(x, y), z)
        expect(mergeRows(z, mergeRows(y, x))).toEqual(merged)
        expect(decodeRow(encodeRow(merged))).toEqual(merged)
        expect(merged.count).toBe(3)
      }),
    )
  })
})

describe('a visit row', () => {
  it('keeps everything but the peer, the time and the hash, which are its key', () => {
    fc.assert(
      fc.property(visit, (paid) => {
        const { atMs: _, swarm: __, peer: ___, ...rest } = paid
        expect(decodeVisit(encodeVisit(paid))).toEqual(rest)
      }),
    )
  })

  it('holds no address, though words, yourip and the client name may', () => {
    const told = { detail: 'connect ECONNREFUSED 203.0.113.9:6881', yourIp: '198.51.100.7', client: 'me@203.0.113.9' }
    const bytes = encodeVisit(visitTo('203.0.113.9:6881', told))
    expect(bytes.includes('203.0.113.9') || bytes.includes('198.51.100.7')).toBe(false)
    expect(decodeVisit(bytes).client).toBe('me@…')
  })
})

describe('ids of a wrong length', () => {
  it.each(['', '00', 'zz'.repeat(20), '00'.repeat(21)])(
    '(%j) are left out; the rest of the row stays readable',
    (id) => {
      const visit = decodeVisit(encodeVisit(visitTo('203.0.113.9:1', { peerId: id, client: 'x' })))
      expect(visit).toMatchObject({ client: 'x', outcome: 'timeout' })
      expect(visit.peerId).toBeUndefined()
      const entry = { endpoint: ip('203.0.113.9:1'), pseudonym: '5a'.repeat(16), nodeId: id }
      expect(parseAddressValue(addressValue(entry))).toEqual({ ...entry, nodeId: undefined })
    },
  )
})

describe('damaged rows', () => {
  it('are STORE_CORRUPT or read as something, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        for (const decode of [decodeRow, decodeVisit]) {
          try {
            decode(Buffer.from(bytes))
          } catch (error) {
            expect(error).toBeInstanceOf(SwarmatlasError)
            expect(error).toMatchObject({ code: 'STORE_CORRUPT' })
          }
        }
      }),
    )
    expect(() => decodeRow(Buffer.alloc(3))).toThrow(/cannot be read/)
  })
})
