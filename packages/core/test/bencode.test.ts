import bencodePackage from 'bencode'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Bencoded,
  decodeBencode,
  decodeBencodePrefix,
  decodeWithSpan,
  type Encodable,
  encodeBencode,
  read,
} from '../src/index.ts'

const bytes = (text: string) => Buffer.from(text, 'latin1')
const decode = (text: string) => decodeBencode(bytes(text))

/** Texts for byte strings, objects for dictionaries: what a reader of the test would write. */
function plain(value: Bencoded | undefined): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1')
  if (Array.isArray(value)) return value.map(plain)
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [key, plain(item)]))
  return value
}

/** Values whose encoding is the same for everybody: ASCII keys, no undefined. */
const { tree } = fc.letrec<{ tree: Encodable }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    fc.maxSafeInteger(),
    fc.uint8Array({ maxLength: 40 }),
    fc.array(tie('tree'), { maxLength: 6 }),
    fc.dictionary(fc.stringMatching(/^[a-z0-9 ]{0,8}$/), tie('tree'), { maxKeys: 6, noNullPrototype: true }),
  ),
}))

describe('decoding', () => {
  it.each([
    ['i42e', 42],
    ['i-42e', -42],
    ['i0e', 0],
    ['i9007199254740991e', Number.MAX_SAFE_INTEGER],
    ['4:spam', 'spam'],
    ['0:', ''],
    ['le', []],
    ['l4:spami7ee', ['spam', 7]],
    ['de', {}],
    ['d3:cow3:moo4:spaml1:a1:bee', { cow: 'moo', spam: ['a', 'b'] }],
    ['d1:b1:x1:a1:ye', { a: 'y', b: 'x' }],
  ])('reads %s', (text, value) => {
    expect(plain(decode(text))).toEqual(value)
  })

  it.each([
    '',
    'i',
    'ie',
    'i-e',
    'i1',
    'i1.5e',
    'i 1e',
    'i+1e',
    'i1-e',
    'i9007199254740992e',
    'i99999999999999999999e',
    '4:spa',
    '4spam',
    ':',
    '-1:a',
    '999999999999999:a',
    'l',
    'li1e',
    'd',
    'd1:a',
    'd1:ae',
    'di1ei2ee',
    'dle1:ae',
    'x',
    'e',
  ])('refuses %j', (text) => {
    expect(decode(text)).toBeUndefined()
  })

  it('has no negative zero', () => {
    expect(Object.is(decode('i-0e'), 0)).toBe(true)
  })

  it('refuses bytes behind the value, which a prefix read leaves to the caller', () => {
    expect(decode('i1eX')).toBeUndefined()
    expect(decodeBencodePrefix(bytes('d1:ai1eeRAW'))?.end).toBe(8)
  })

  it('keeps the first of two equal keys', () => {
    expect(plain(decode('d1:ai1e1:ai2ee'))).toEqual({ a: 1 })
    const found = decodeWithSpan(bytes('d4:infoi1e4:infoi2ee'), 'info')
    expect(Buffer.from(found?.span ?? []).toString()).toBe('i1e')
  })

  it('takes the key __proto__ for a key like any other', () => {
    const dict = decode('d9:__proto__d1:ai1eee')
    expect(read.integer(dict as never, 'a')).toBeUndefined()
    expect(read.dict(dict as never, '__proto__')).toBeInstanceOf(Map)
  })

  it('ends at the nesting limit, so that no depth overflows the stack', () => {
    expect(decode('l'.repeat(32) + 'e'.repeat(32))).toBeDefined()
    expect(decode('l'.repeat(33) + 'e'.repeat(33))).toBeUndefined()
    expect(decode('l'.repeat(1_000_000))).toBeUndefined()
    expect(decode('d1:a'.repeat(1_000_000))).toBeUndefined()
    expect(decodeBencode(bytes('lllleeee'), { maxDepth: 3 })).toBeUndefined()
  })

  it('ends at the item limit, keys not counted', () => {
    expect(decodeBencode(bytes('l0:0:e'), { maxItems: 3 })).toBeDefined()
    expect(decodeBencode(bytes('l0:0:0:e'), { maxItems: 3 })).toBeUndefined()
    expect(decodeBencode(bytes('d1:a0:1:b0:e'), { maxItems: 3 })).toBeDefined()
  })

  it('takes no length for granted: four bytes that claim a gigabyte cost nothing', () => {
    expect(decode('1000000000:')).toBeUndefined()
  })
})

describe('the span of a value', () => {
  it('is the original bytes, unsorted keys and all', () => {
    const found = decodeWithSpan(bytes('d8:announce1:x4:infod1:bi1e1:ai2eee'), 'info')
    expect(Buffer.from(found?.span ?? []).toString()).toBe('d1:bi1e1:ai2ee')
  })

  it('is taken from the outermost dictionary alone', () => {
    expect(decodeWithSpan(bytes('d1:ad4:infoi1eee'), 'info')?.span).toBeUndefined()
    expect(decodeWithSpan(bytes('ld4:infoi1eee'), 'info')).toBeUndefined()
    const found = decodeWithSpan(bytes('d1:ad4:infoi1ee4:infoi2ee'), 'info')
    expect(Buffer.from(found?.span ?? []).toString()).toBe('i2e')
  })

  it('needs the dictionary to be all there is', () => {
    expect(decodeWithSpan(bytes('d4:infoi1eeX'), 'info')).toBeUndefined()
  })
})

describe('encoding', () => {
  it('sorts keys by their bytes and leaves undefined out', () => {
    expect(Buffer.from(encodeBencode({ b: 1, a: 'x', Z: [], gone: undefined })).toString()).toBe('d1:Zle1:a1:x1:bi1ee')
    expect(Buffer.from(encodeBencode({ é: 1, z: 2 })).toString()).toBe('d1:zi2e2:éi1ee')
  })

  it('refuses numbers that bencode has no form for', () => {
    expect(() => encodeBencode(1.5)).toThrow(TypeError)
    expect(() => encodeBencode(Number.NaN)).toThrow(TypeError)
  })

  it('gives a decoded value back byte for byte, binary keys too', () => {
    const raw = bytes('d2:\xff\x00i1e3:\xff\x01\x02le')
    const whole = Buffer.concat([raw, bytes('e')])
    expect(Buffer.from(encodeBencode(decodeBencode(whole) as Encodable)).equals(whole)).toBe(true)
  })
})

describe('properties', () => {
  it('decode(encode(x)) is x', () => {
    fc.assert(
      fc.property(tree, (value) => {
        const once = encodeBencode(value)
        const decoded = decodeBencode(once)
        expect(decoded).toBeDefined()
        expect(encodeBencode(decoded as Encodable)).toEqual(once)
      }),
    )
  })

  it('agrees with the bencode package in both directions', () => {
    fc.assert(
      fc.property(tree, (value) => {
        const ours = encodeBencode(value)
        expect(Buffer.from(ours).equals(bencodePackage.encode(value))).toBe(true)
        expect(Buffer.from(encodeBencode(bencodePackage.decode(ours) as Encodable)).equals(ours)).toBe(true)
      }),
    )
  })

  it('no bytes throw, and no one-bit mutant of a value does', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (junk) => {
        decodeWithSpan(junk, 'info')
        decodeBencodePrefix(junk)
      }),
    )
    fc.assert(
      fc.property(tree, fc.nat(), (value, position) => {
        const mutant = Uint8Array.from(encodeBencode(value))
        const bit = position % (mutant.length * 8)
        mutant[bit >> 3] = (mutant[bit >> 3] as number) ^ (1 << (bit & 7))
        decodeWithSpan(mutant, 'a')
      }),
    )
  })

  it('reads members of any type without throwing', () => {
    fc.assert(
      fc.property(tree, (value) => {
        const dict = decodeBencode(encodeBencode({ k: value }))
        expect(dict).toBeInstanceOf(Map)
        const readers = [read.bytes, read.integer, read.list, read.dict]
        const found = readers.map((reader) => reader(dict as never, 'k')).filter((item) => item !== undefined)
        expect(found).toHaveLength(1)
      }),
    )
  })
})
