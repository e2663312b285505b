import { type Endpoint, encodeBencode, encodeCompact, endpointKey } from '@swarmatlas/core'
import fc from 'fast-check'
import utPex from 'ut_pex'
import { describe, expect, test, vi } from 'vitest'
import { decodePex } from '../src/pex.ts'

const V4: Endpoint = { address: '192.0.2.1', port: 6881 }
const V6: Endpoint = { address: '2001:db8::1', port: 6881 }
const keys = (endpoints: readonly Endpoint[]) => endpoints.map(endpointKey).sort()

test('reads added, dropped and flags of both families', () => {
  const message = decodePex(
    encodeBencode({
      added: encodeCompact(V4),
      'added.f': Uint8Array.of(0x0d),
      added6: encodeCompact(V6),
      'added6.f': Uint8Array.of(0x12),
      dropped: encodeCompact({ ...V4, port: 1 }),
      dropped6: encodeCompact({ ...V6, port: 1 }),
    }),
  )
  expect(message?.added).toEqual([
    { endpoint: V4, flags: { prefersEncryption: true, seed: false, utp: true, holepunch: true, reachable: false } },
    { endpoint: V6, flags: { prefersEncryption: false, seed: true, utp: false, holepunch: false, reachable: true } },
  ])
  expect(keys(message?.dropped ?? [])).toEqual(['192.0.2.1:1', '[2001:db8::1]:1'])
  expect(message).toMatchObject({ malformed: 0, cut: 0 })
})

test.each([
  ['a fragment at the end', { added: Buffer.concat([encodeCompact(V4), Uint8Array.of(1, 2)]) }],
  ['a port 0 in front', { added: Buffer.concat([encodeCompact({ ...V4, port: 0 }), encodeCompact(V4)]) }],
  ['another list of the wrong type', { added: encodeCompact(V4), added6: 5, 'added.f': 7 }],
])('%s costs itself', (_, message) => {
  const read = decodePex(encodeBencode(message))
  expect(read?.added).toEqual([{ endpoint: V4 }])
  expect(read?.malformed).toBe(1)
})

test('a flag stays with its entry when an earlier one is malformed', () => {
  const added = Buffer.concat([encodeCompact({ ...V4, port: 0 }), encodeCompact(V4)])
  const read = decodePex(encodeBencode({ added, 'added.f': Uint8Array.of(0x02, 0x04) }))
  expect(read?.added[0]?.flags).toMatchObject({ seed: false, utp: true })
})

test('an endpoint named twice is read once', () => {
  expect(
    decodePex(encodeBencode({ added: Buffer.concat([encodeCompact(V4), encodeCompact(V4)]) }))?.added,
  ).toHaveLength(1)
})

test('no bytes can throw', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void decodePex(bytes)))
})

describe('beside the ut_pex package', () => {
  function theirs(
    payload: Uint8Array,
    times: number[] = [1_000_000],
  ): { peers: string[]; dropped: string[]; destroyed: boolean } {
    const said = { peers: [] as string[], dropped: [] as string[], destroyed: false }
    const wire = {
      destroy() {
        said.destroyed = true
      },
    }
    const pex = new (utPex())(wire)
    pex.on('peer', (peer: string) => said.peers.push(peer))
    pex.on('dropped', (peer: string) => said.dropped.push(peer))
    pex.on('warning', () => {})
    vi.useFakeTimers({ toFake: ['Date'] })
    try {
      for (const atMs of times) {
        vi.setSystemTime(atMs)
        pex.onMessage(payload)
      }
    } finally {
      vi.useRealTimers()
    }
    return said
  }

  test('both read the same from well-formed messages', () => {
    const port = fc.integer({ min: 1, max: 65_535 })
    const v4 = fc.record({ address: fc.ipV4().filter((a) => /^\d+\.\d+\.\d+\.\d+$/.test(a)), port })
    const v6 = fc.record({
      address: fc.constantFrom('2001:db8::1', '2001:db8::2', 'fe80::1:2', '2001:db8:0:1::5'),
      port,
    })
    const list = (entry: fc.Arbitrary<Endpoint>) => fc.uniqueArray(entry, { maxLength: 40, selector: endpointKey })
    fc.assert(
      fc.property(list(v4), list(v6), list(v4), (added, added6, dropped) => {
        const compact = (endpoints: Endpoint[]) => Buffer.concat(endpoints.map(encodeCompact))
        const payload = encodeBencode({ added: compact(added), added6: compact(added6), dropped: compact(dropped) })
        const ours = decodePex(payload)
        const other = theirs(payload)
        expect(keys(ours?.added.map(({ endpoint }) => endpoint) ?? [])).toEqual(other.peers.sort())
        expect(keys(ours?.dropped ?? [])).toEqual(other.dropped.sort())
      }),
    )
  })

  // What ADR 0005 says of the package, so that it is noticed when it no longer holds.
  test('it hangs up on a message 59.9 s after the last', () => {
    const payload = encodeBencode({ added: encodeCompact(V4) })
    expect(theirs(payload, [1_000_000, 1_059_900]).destroyed).toBe(true)
    expect(theirs(payload, [1_000_000, 1_060_100]).destroyed).toBe(false)
  })

  test('it takes 50,000 entries from one message', () => {
    const added = Buffer.alloc(300_000)
    for (let i = 0; i < 50_000; i++) added.writeUInt32BE(i * 65_536 + 1_000, i * 6 + 2)
    expect(theirs(encodeBencode({ added })).peers).toHaveLength(50_000)
  })

  test('it drops a whole message for one malformed tail', () => {
    expect(theirs(encodeBencode({ added: Buffer.concat([encodeCompact(V4), Uint8Array.of(1)]) })).peers).toEqual([])
  })
})
