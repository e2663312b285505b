import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  createAddressPolicy,
  isUnicast,
  type Purpose,
  parseOptOut,
  profiles,
  SwarmatlasError,
  type Transport,
} from '../src/index.ts'
import { FakeClock } from './fake-clock.ts'
import { policyWith, reason } from './unhurried-policy.ts'

describe('addresses', () => {
  // [address, admitted by default, admitted with allowPrivate]
  const table: [string, string, boolean, boolean][] = [
    ['public', '1.1.1.1', true, true],
    ['public', '2001:4860::1', true, true],
    ['public', '2a01:4f8::1', true, true],
    ['unspecified', '0.0.0.0', false, false],
    ['this network', '0.1.2.3', false, false],
    ['unspecified v6', '::', false, false],
    ['broadcast', '255.255.255.255', false, false],
    ['reserved', '240.0.0.1', false, false],
    ['multicast', '224.0.0.251', false, false],
    ['multicast', '239.255.255.250', false, false],
    ['multicast v6', 'ff02::1', false, false],
    ['loopback', '127.0.0.1', false, true],
    ['loopback', '127.255.0.1', false, true],
    ['loopback v6', '::1', false, true],
    ['private', '10.0.0.1', false, true],
    ['private', '172.16.0.1', false, true],
    ['private', '172.31.255.255', false, true],
    ['private', '192.168.1.1', false, true],
    ['unique local', 'fd00::1', false, true],
    ['carrier-grade NAT', '100.64.0.1', false, true],
    ['carrier-grade NAT', '100.127.255.255', false, true],
    ['link-local', '169.254.1.1', false, true],
    ['link-local v6', 'fe80::1', false, true],
    ['cloud metadata', '169.254.169.254', false, false],
    ['cloud metadata v6', 'fd00:ec2::254', false, false],
    ['documentation', '192.0.2.1', false, true],
    ['documentation', '198.51.100.1', false, true],
    ['documentation', '203.0.113.1', false, true],
    ['documentation v6', '2001:db8::1', false, true],
    ['documentation v6', '3fff::1', false, true],
    ['benchmarking', '198.18.0.1', false, false],
    ['IETF', '192.0.0.1', false, false],
    ['6to4 relay', '192.88.99.1', false, false],
    ['6to4', '2002:102:304::1', false, false],
    ['Teredo', '2001::1', false, false],
    ['ORCHID', '2001:20::1', false, false],
    ['NAT64', '64:ff9b::102:304', false, false],
    ['discard', '100::1', false, false],
    ['site-local', 'fec0::1', false, false],
    ['v4-compatible', '::102:304', false, false],
    ['unallotted', '4000::1', false, false],
    ['mapped', '::ffff:1.1.1.1', false, false],
    ['mapped loopback', '::ffff:7f00:1', false, false],
    ['a zone', 'fe80::1%eth0', false, false],
    ['no address', '', false, false],
    ['a name', 'localhost', false, false],
    ['octal', '0177.0.0.1', false, false],
    ['one number', '2130706433', false, false],
    ['rubbish', '1:2:3', false, false],
  ]
  it.each(table)('%s %s: public %s, lab %s', (_, address, publicly, inLab) => {
    for (const purpose of ['dht', 'bootstrap', 'peer', 'tracker'] as Purpose[]) {
      for (const transport of ['udp', 'tcp'] as Transport[]) {
        const to = { address, port: 6881 }
        expect(reason(policyWith().admit(purpose, transport, to))).toBe(publicly ? undefined : 'address')
        expect(reason(policyWith({}, { allowPrivate: true }).admit(purpose, transport, to))).toBe(
          inLab ? undefined : 'address',
        )
      }
    }
    expect(isUnicast(address, false)).toBe(publicly)
  })

  it('no text throws', () => {
    const policy = policyWith({}, { optOut: ['9.0.0.0/8'] })
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f:.%]{0,24}$/)), fc.integer(), (address, port) => {
        policy.admit('peer', 'tcp', { address, port })
      }),
    )
  })

  it('only the families chosen', () => {
    const policy = policyWith({}, { families: [4] })
    expect(reason(policy.admit('peer', 'tcp', { address: '1.1.1.1', port: 6881 }))).toBeUndefined()
    expect(reason(policy.admit('peer', 'tcp', { address: '2a01:4f8::1', port: 6881 }))).toBe('family')
  })
})

describe('ports', () => {
  const judge = (purpose: Purpose, transport: Transport, port: number, channels = 1) =>
    reason(policyWith().judge(purpose, transport, { address: '1.1.1.1', port }, { channels }))

  it.each<[Purpose, Transport, number, string | undefined]>([
    ['peer', 'tcp', 0, 'low-port'],
    ['tracker', 'udp', 0, 'low-port'],
    ['peer', 'tcp', -1, 'low-port'],
    ['peer', 'tcp', 1.5, 'low-port'],
    ['peer', 'tcp', Number.NaN, 'low-port'],
    ['peer', 'tcp', 65_536, 'low-port'],
    ['peer', 'tcp', 65_535, undefined],
    ['peer', 'tcp', 1, 'service-port'],
    ['dht', 'udp', 53, 'service-port'],
    ['tracker', 'udp', 53, 'service-port'],
    ['bootstrap', 'udp', 123, 'service-port'],
    ['dht', 'udp', 5353, 'service-port'],
    ['dht', 'udp', 11_211, 'service-port'],
    ['peer', 'tcp', 22, 'service-port'],
    ['tracker', 'tcp', 25, 'service-port'],
    ['tracker', 'tcp', 6379, 'service-port'],
    ['peer', 'tcp', 3389, 'service-port'],
    ['dht', 'udp', 1023, 'low-port'],
    ['dht', 'udp', 1024, undefined],
    ['peer', 'udp', 443, 'low-port'],
    ['bootstrap', 'udp', 443, undefined],
    ['bootstrap', 'tcp', 443, 'low-port'],
    ['tracker', 'udp', 80, undefined],
    ['tracker', 'tcp', 443, undefined],
    ['peer', 'tcp', 443, 'low-port'],
  ])('%s over %s to port %d: %s', (purpose, transport, port, refused) => {
    expect(judge(purpose, transport, port)).toBe(refused)
  })

  it('a low port of a peer needs two channels, and a forbidden one stays forbidden', () => {
    expect(judge('peer', 'tcp', 443, 2)).toBeUndefined()
    expect(judge('peer', 'udp', 443, 2)).toBe('low-port')
    expect(judge('dht', 'udp', 443, 2)).toBe('low-port')
    expect(judge('peer', 'tcp', 22, 5)).toBe('service-port')
    const policy = policyWith()
    const to = { address: '1.1.1.1', port: 443 }
    expect(policy.admit('peer', 'tcp', to, { channels: 2 })).toBeUndefined()
    // That it was contacted once does not make the weaker claim good.
    expect(reason(policy.admit('peer', 'tcp', to, { channels: 1 }))).toBe('low-port')
    expect(reason(policy.admit('peer', 'tcp', to))).toBe('low-port')
  })

  it('a contact over TCP says nothing for UDP', () => {
    const policy = policyWith()
    expect(policy.admit('tracker', 'tcp', { address: '1.1.1.1', port: 123 })).toBeUndefined()
    expect(reason(policy.admit('tracker', 'udp', { address: '1.1.1.1', port: 123 }))).toBe('service-port')
  })
})

describe('opt-out', () => {
  it('honours addresses and ranges, v4 and v6, overlapping and in any order', () => {
    const optOut = [
      '9.9.9.0/24',
      '8.8.8.8',
      '9.0.0.0/10',
      '2a01:4f8::/32',
      '2a02::1',
      '11.1.1.7/31',
      '::ffff:12.0.0.1',
      '9.9.0.0/16',
    ]
    const policy = policyWith({}, { optOut })
    const opted = (address: string) => reason(policy.admit('peer', 'tcp', { address, port: 6881 })) === 'opt-out'
    for (const address of [
      '9.0.0.0',
      '9.63.255.255',
      '9.9.9.9',
      '8.8.8.8',
      '2a01:4f8:1::',
      '2a01:4f8:ffff::1',
      '2a02::1',
      '11.1.1.6',
      '11.1.1.7',
      '12.0.0.1',
    ]) {
      expect(opted(address), address).toBe(true)
    }
    for (const address of [
      '9.64.0.0',
      '8.8.8.7',
      '8.8.8.9',
      '2a01:4f7::1',
      '2a01:4f9::',
      '2a02::2',
      '11.1.1.5',
      '11.1.1.8',
      '12.0.0.2',
    ]) {
      expect(opted(address), address).toBe(false)
    }
  })

  it('agrees with a bit-by-bit comparison', () => {
    const octets = fc.uint8Array({ minLength: 4, maxLength: 4 })
    const bits = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
    fc.assert(
      fc.property(fc.array(fc.tuple(octets, fc.nat(32)), { maxLength: 8 }), octets, (ranges, address) => {
        fc.pre(isUnicast(address.join('.'), false))
        const policy = policyWith({}, { optOut: ranges.map(([base, length]) => `${base.join('.')}/${length}`) })
        const wanted = ranges.some(([base, length]) => bits(base).slice(0, length) === bits(address).slice(0, length))
        const to = { address: address.join('.'), port: 6881 }
        expect(reason(policy.judge('peer', 'tcp', to))).toBe(wanted ? 'opt-out' : undefined)
      }),
    )
  })

  it('reads a file with comments, and names the line that is wrong', () => {
    expect(parseOptOut('\ufeff# asked by mail\r\n1.2.3.4\r\n\r\n 2a01::/16 # a hoster\n')).toEqual([
      '1.2.3.4',
      '2a01::/16',
    ])
    expect(parseOptOut('')).toEqual([])
    expect(() => parseOptOut('1.2.3.4\nexample.org\n')).toThrow(/line 2/)
  })

  it.each([
    '1.2.3',
    '1.2.3.4/33',
    '1.2.3.4/',
    '1.2.3.4/-1',
    '2a01::/129',
    'example.org',
    '',
    '1.2.3.4/8/8',
    '1.2.3.4/ 8',
  ])('%j is misuse', (entry) => {
    expect(() => policyWith({}, { optOut: [entry] })).toThrow(SwarmatlasError)
    expect(() => policyWith({}, { optOut: [entry] })).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
  })
})

it.each([{ newEndpointsPerMinute: 0 }, { portsPerAddress: Number.NaN }, { firstContactsPerPrefix: -1 }])(
  'a profile with %j is misuse',
  (profile) => {
    expect(() => policyWith(profile)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
  },
)

it('the lab profile lifts the limits and nothing else', () => {
  const policy = createAddressPolicy({ clock: new FakeClock() }, { profile: profiles.lab, allowPrivate: true })
  for (let port = 1024; port < 3000; port++) {
    const refusal = policy.admit('dht', 'udp', { address: '127.0.0.1', port })
    expect(refusal === undefined || refusal.reason === 'service-port').toBe(true)
  }
  expect(reason(policy.admit('dht', 'udp', { address: '127.0.0.1', port: 53 }))).toBe('service-port')
  expect(reason(policy.admit('dht', 'udp', { address: '224.0.0.1', port: 6881 }))).toBe('address')
})
