import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  addressBytes,
  addressFromBytes,
  canonicalAddress,
  compareEndpoints,
  decodeCompact,
  decodeCompactList,
  encodeCompact,
  endpointKey,
  parseEndpoint,
  parseHostPort,
  prefixOf,
} from '../src/index.ts'

const v4Bytes = fc.uint8Array({ minLength: 4, maxLength: 4 })
/** Many zero groups, so that `::` is exercised. */
const v6Bytes = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), { minLength: 8, maxLength: 8 })
  .map((groups) => Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff])))

const isMapped = (bytes: Uint8Array) =>
  bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff

describe('canonical addresses', () => {
  // RFC 5952, section 4.
  it.each([
    ['2001:0db8::0001', '2001:db8::1'],
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:DB8::A', '2001:db8::a'],
    ['::', '::'],
    ['1.2.3.4', '1.2.3.4'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['::ffff:102:304', '1.2.3.4'],
    ['::1.2.3.4', '::102:304'],
    ['64:ff9b::1.2.3.4', '64:ff9b::102:304'],
  ])('%s is %s', (text, canonical) => {
    expect(canonicalAddress(text)).toBe(canonical)
  })

  it.each([
    '',
    '1.2.3',
    '1',
    '0x7f000001',
    '0x7f.0.0.1',
    '010.0.0.1',
    '1.2.3.04',
    '256.1.1.1',
    '1.2.3.4.5',
    ' 1.2.3.4',
    '1.2.3.4\n',
    'localhost',
    ':',
    ':::',
    '1::2::3',
    '12345::',
    'fe80::1%eth0',
    'fe80::1%25eth0',
    '[::1]',
    '::ffff:010.2.3.4',
    '::ffff:1.2.3',
    '::ffff:0x7f.0.0.1',
    '1:2:3:4:5:6:7:8:9',
    '2001:db8::g',
  ])('%j is none', (text) => {
    expect(canonicalAddress(text)).toBeUndefined()
  })

  it('writes IPv6 as every WHATWG URL does', () => {
    fc.assert(
      fc.property(
        v6Bytes.filter((bytes) => !isMapped(bytes)),
        (bytes) => {
          const text = addressFromBytes(bytes)
          expect(new URL(`http://[${text}]/`).hostname).toBe(`[${text}]`)
          expect(addressBytes(text)).toEqual(bytes)
          expect(canonicalAddress(text)).toBe(text)
        },
      ),
    )
  })

  it('no text throws', () => {
    fc.assert(
      fc.property(fc.string(), fc.stringMatching(/^[0-9a-f:.%]{0,30}$/), (a, b) => {
        for (const text of [a, b]) {
          const address = canonicalAddress(text)
          if (address !== undefined) expect(canonicalAddress(address)).toBe(address)
        }
      }),
    )
  })
})

describe('compact endpoints', () => {
  it('reads the vectors of BEP 5 and BEP 32', () => {
    expect(decodeCompact(Buffer.from('0102030400508'.slice(0, 12), 'hex'))).toEqual({ address: '1.2.3.4', port: 80 })
    expect(decodeCompact(Buffer.from(`20010db8${'00'.repeat(11)}011ae1`, 'hex'))).toEqual({
      address: '2001:db8::1',
      port: 6881,
    })
  })

  it('reads an IPv4-mapped address as IPv4', () => {
    expect(decodeCompact(Buffer.from(`${'00'.repeat(10)}ffff0a0000011ae1`, 'hex'))).toEqual({
      address: '10.0.0.1',
      port: 6881,
    })
  })

  it.each([0, 1, 5, 7, 12, 17, 19, 36])('%i bytes are none', (length) => {
    expect(decodeCompact(new Uint8Array(length))).toBeUndefined()
  })

  it('leaves out a fragment at the end and what is over the cap', () => {
    const list = Buffer.from('010203041ae1020304051ae2030405061ae3ffff', 'hex')
    expect(decodeCompactList(list, 4, 10).map((each) => each.port)).toEqual([6881, 6882, 6883])
    expect(decodeCompactList(list, 4, 2)).toHaveLength(2)
    expect(decodeCompactList(list, 6, 10)).toHaveLength(1)
    expect(decodeCompactList(list.subarray(0, 5), 4, 10)).toEqual([])
  })

  it('encode is the inverse of decode', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          v4Bytes,
          v6Bytes.filter((bytes) => !isMapped(bytes)),
        ),
        fc.nat(65_535),
        (address, port) => {
          const compact = Uint8Array.from([...address, port >> 8, port & 0xff])
          const endpoint = decodeCompact(compact)
          expect(endpoint?.port).toBe(port)
          expect(encodeCompact(endpoint as never)).toEqual(compact)
          if (port > 0) expect(parseEndpoint(endpointKey(endpoint as never))).toEqual(endpoint)
        },
      ),
    )
  })
})

describe('texts', () => {
  it.each([
    ['1.2.3.4:80', { address: '1.2.3.4', port: 80 }],
    ['[2001:DB8::1]:80', { address: '2001:db8::1', port: 80 }],
    ['[::ffff:1.2.3.4]:80', { address: '1.2.3.4', port: 80 }],
  ])('%s is an endpoint', (text, endpoint) => {
    expect(parseEndpoint(text)).toEqual(endpoint)
  })

  it.each(['1.2.3.4', '1.2.3.4:0', '1.2.3.4:65536', '2001:db8::1:80', '[2001:db8::1]', 'host:80', '1.2.3:80', ':80'])(
    '%j is none',
    (text) => {
      expect(parseEndpoint(text)).toBeUndefined()
    },
  )

  it('reads a host with its port, and no host that could be anything else', () => {
    expect(parseHostPort('router.example.org:6881')).toEqual({ host: 'router.example.org', port: 6881 })
    expect(parseHostPort('[::1]:6881')).toEqual({ host: '::1', port: 6881 })
    for (const text of ['a/b:1', 'a@b:1', 'a b:1', 'a\u0000b:1', `${'a'.repeat(254)}:1`, '[x]:1', '[evil.example]:1']) {
      expect(parseHostPort(text), text).toBeUndefined()
    }
  })
})

describe('prefixes', () => {
  it.each([
    ['1.2.3.4', '1.2.3.0/24'],
    ['2001:db8:1:2::3', '2001:db8:1::/48'],
    ['2001:db8::3', '2001:db8::/48'],
    ['2001:0:5::3', '2001:0:5::/48'],
    ['2001::1:2:3:4:5', '2001::/48'],
    ['::1', '::/48'],
    ['::3:4:5:6:7:8', '0:0:3::/48'],
  ])('%s is in %s', (address, prefix) => {
    expect(prefixOf(address)).toBe(prefix)
  })

  it('are the same for addresses that share 48 bits, and for no others', () => {
    fc.assert(
      fc.property(v6Bytes, v6Bytes, (a, b) => {
        fc.pre(!isMapped(a) && !isMapped(b))
        const network = Uint8Array.from(a)
        network.fill(0, 6)
        expect(prefixOf(addressFromBytes(a))).toBe(`${addressFromBytes(network)}/48`)
        const same = Buffer.compare(a.subarray(0, 6), b.subarray(0, 6)) === 0
        expect(prefixOf(addressFromBytes(a)) === prefixOf(addressFromBytes(b))).toBe(same)
      }),
    )
  })
})

it('orders numerically, IPv4 first, then by port', () => {
  const texts = ['1.2.3.4:80', '1.2.3.4:6881', '2.0.0.1:1', '10.0.0.1:1', '[2001:db8::2]:1', '[2001:db8::10]:1']
  const endpoints = [...texts].reverse().map((text) => parseEndpoint(text) as never)
  expect(endpoints.sort(compareEndpoints).map(endpointKey)).toEqual(texts)
})
