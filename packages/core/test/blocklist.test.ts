import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addressFromBytes, createAddressPolicy, parseBlocklist, profiles, SwarmatlasError } from '../src/index.ts'
import { FakeClock } from './fake-clock.ts'

describe('formats', () => {
  // [name, line, inside, outside]
  const table: [string, string, string[], string[]][] = [
    ['an address', '1.2.3.4', ['1.2.3.4'], ['1.2.3.3', '1.2.3.5']],
    ['an IPv6 address', '2001:db8::5', ['2001:db8::5'], ['2001:db8::4', '2001:db8::6', '2001:db8:1::5']],
    ['CIDR', '10.1.2.0/23', ['10.1.2.0', '10.1.3.255'], ['10.1.1.255', '10.1.4.0']],
    ['CIDR with host bits', '10.1.3.77/23', ['10.1.2.0', '10.1.3.255'], ['10.1.1.255', '10.1.4.0']],
    ['CIDR of everything', '0.0.0.0/0', ['0.0.0.0', '255.255.255.255'], ['::', '2001:db8::']],
    ['CIDR of one', '255.255.255.255/32', ['255.255.255.255'], ['255.255.255.254']],
    [
      'IPv6 CIDR',
      '2001:db8:8000::/33',
      ['2001:db8:8000::', '2001:db8:ffff:ffff::1'],
      ['2001:db8:7fff::1', '2001:db9::'],
    ],
    ['IPv6 CIDR past a word', 'fd00::/65', ['fd00::', 'fd00::7fff:0:0:1'], ['fd00::8000:0:0:0', 'fd00:0:0:1::']],
    ['CIDR with a comment', '1.10.16.0/20 ; SBL256894', ['1.10.16.1'], ['1.10.32.0']],
    ['P2P', 'Bad Company, Inc.:1.2.3.4-1.2.3.9', ['1.2.3.4', '1.2.3.9'], ['1.2.3.3', '1.2.3.10']],
    ['P2P with a wild name', 'a-b: #1; c:80-90:1.2.3.4-1.2.3.9', ['1.2.3.4', '1.2.3.9'], ['1.2.3.3', '1.2.3.10']],
    ['P2P without a name', '1.2.3.4-1.2.3.9', ['1.2.3.4', '1.2.3.9'], ['1.2.3.3', '1.2.3.10']],
    ['P2P with an empty name', ':1.2.3.4 - 1.2.3.9', ['1.2.3.4', '1.2.3.9'], ['1.2.3.3', '1.2.3.10']],
    ['P2P, IPv6', 'Some: one:2001:db8::-2001:db8::9', ['2001:db8::', '2001:db8::9'], ['2001:db8::a', 'db8::1']],
    ['P2P, IPv6, a name like a group', 'abc:2001:db8::1-2001:db8::9', ['2001:db8::9'], ['2001:db8::', 'abc::1']],
    ['P2P, IPv6 without a name', '2001:db8::1-2001:db8::9', ['2001:db8::9'], ['2001:db8::', 'db8::1', 'ffff::']],
  ]
  it.each(table)('%s', (_name, line, inside, outside) => {
    const list = parseBlocklist(`# a list\r\n${line}\r\n`)
    expect(list.ranges).toBe(1)
    expect(inside.filter((address) => !list.has(address))).toEqual([])
    expect(outside.filter((address) => list.has(address))).toEqual([])
  })

  it('takes both formats and families in one file, in any order, overlapping', () => {
    const lines = [
      'x:9.0.0.0-9.0.0.9',
      '9.0.0.5',
      'y:9.0.0.8-9.0.0.20',
      '',
      '; none',
      '8.8.8.0/24',
      '2001:db8::/32',
      '1.1.1.1',
    ]
    const list = parseBlocklist(`\ufeff${lines.join('\n')}`)
    expect(list.ranges).toBe(4)
    for (const address of ['9.0.0.20', '9.0.0.0', '8.8.8.8', '1.1.1.1', '2001:db8::9'])
      expect(list.has(address)).toBe(true)
    for (const address of ['9.0.0.21', '8.8.9.0', '1.1.1.2', '2001:db9::']) expect(list.has(address)).toBe(false)
  })

  const bad = [
    'name only',
    '1.2.3',
    '1.2.3.4/33',
    '::/129',
    '1.2.3.4/',
    '1.2.3.4/x',
    'a:1.2.3.9-1.2.3.4',
    'a:1.2.3.4',
    'a:1.2.3.4-::1',
    '001.002.003.004',
    'a:1.2.3.4-1.2.3.256',
  ]
  it.each(bad)('names file and line of %j', (line) => {
    const parse = () => parseBlocklist(`1.1.1.1\n\n${line}\n`, 'level1.p2p')
    expect(parse).toThrow(SwarmatlasError)
    expect(parse).toThrow('level1.p2p, line 3:')
  })

  it('no text throws anything else', () => {
    const piece = fc.constantFrom(':', '-', '/', '1', '255', '.', '2001', '::', 'name', ' ', '\n', '#', '1.2.3.4')
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece).map((parts) => parts.join('')),
        ),
        (text) => {
          try {
            parseBlocklist(text)
          } catch (error) {
            if (!(error instanceof SwarmatlasError)) throw error
          }
        },
      ),
    )
  })
})

it('finds what a search through all ranges finds', () => {
  const number = fc.integer({ min: 0, max: 300 })
  const v4 = (n: number) => addressFromBytes(Uint8Array.of(1, 2, n >> 8, n & 255))
  // Over the borders of words.
  const v6 = (n: number) =>
    addressFromBytes(Uint8Array.of(32, 1, 0, 0, 0, 0, n >> 8, n & 255, 255, 255, 255, 255, n & 3, 0, 0, 0))
  fc.assert(
    fc.property(fc.array(fc.tuple(number, number)), fc.array(number), fc.constantFrom(v4, v6), (pairs, asked, text) => {
      const ranges = pairs.map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const)
      const list = parseBlocklist(ranges.map(([a, b]) => `x:${text(a)}-${text(b)}`).join('\n'))
      for (const n of asked) expect(list.has(text(n))).toBe(ranges.some(([a, b]) => a <= n && n <= b))
    }),
  )
})

describe('in the address policy', () => {
  const policy = createAddressPolicy(
    { clock: new FakeClock() },
    { profile: profiles.server, optOut: ['1.1.1.1'], blocklist: parseBlocklist('x:8.8.8.0-8.8.8.255\n2a01::/16') },
  )
  it.each(['8.8.8.8', '2a01:4f8::1'])('%s is refused for every purpose, with a reason of its own', (address) => {
    for (const purpose of ['dht', 'peer', 'tracker', 'bootstrap'] as const) {
      expect(policy.admit(purpose, 'tcp', { address, port: 6881 })).toEqual({ reason: 'blocklist' })
    }
    expect(policy.judgeCaller({ address })).toEqual({ reason: 'blocklist' })
  })
  it('others are not; who opted out did so', () => {
    expect(policy.admit('peer', 'tcp', { address: '8.8.9.8', port: 6881 })).toBeUndefined()
    expect(policy.judge('peer', 'tcp', { address: '1.1.1.1', port: 6881 })).toEqual({ reason: 'opt-out' })
  })
  it('a caller is judged by its address, whatever port it sends from', () => {
    expect(policy.judgeCaller({ address: '8.8.9.8' })).toBeUndefined()
    expect(policy.judgeCaller({ address: '10.0.0.1' })).toEqual({ reason: 'address' })
    expect(policy.judgeCaller({ address: '1.1.1.1' })).toEqual({ reason: 'opt-out' })
  })
})
