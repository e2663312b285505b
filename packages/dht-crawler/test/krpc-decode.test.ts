import { countingMeter, type Encodable, encodeBencode, encodeCompact, limits } from '@swarmatlas/core'
import bencode from 'bencode'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Contact, endpointAt, markAt, markOf, packContacts, unpackContacts } from '../src/contact.ts'
import { decodeKrpc, type KrpcResponse } from '../src/krpc-decode.ts'

const ID = Buffer.from('mnopqrstuvwxyz123456')
const decode = (message: string | Uint8Array, meter = countingMeter()) =>
  decodeKrpc(typeof message === 'string' ? Buffer.from(message, 'latin1') : message, meter)
const response = (r: { [key: string]: Encodable }, meter = countingMeter(), more: { [key: string]: Encodable } = {}) =>
  decode(encodeBencode({ t: 'aa', y: 'r', r: { id: ID, ...r }, ...more }), meter) as KrpcResponse

const VALID = 'd1:rd2:id20:mnopqrstuvwxyz1234565:nodes0:e1:t2:aa1:y1:re'

describe('decodeKrpc', () => {
  it('reads the messages of BEP 5', () => {
    expect(decode('d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe')).toMatchObject({ kind: 'query' })
    expect(decode('d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re')).toMatchObject({
      kind: 'response',
      tid: Buffer.from('aa'),
      id: ID,
      nodes: Buffer.alloc(0),
      values: Buffer.alloc(0),
    })
    expect(decode('d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee')).toMatchObject({ kind: 'error', code: 201 })
    const found = decode(
      'd1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re',
    ) as KrpcResponse
    expect(found.values.toString('latin1')).toBe('axje.uidhtnm')
  })

  it('reads BEP 32, 33, 42 and 51', () => {
    const contact = Buffer.concat([ID, encodeCompact({ address: '203.0.113.9', port: 6881 })])
    const contact6 = Buffer.concat([ID, encodeCompact({ address: '2001:db8::9', port: 6881 })])
    const seeds = Buffer.alloc(256, 1)
    const downloaders = Buffer.alloc(256, 2)
    const ip = Buffer.from(encodeCompact({ address: '198.51.100.7', port: 49_152 }))
    const fields = { nodes: contact, nodes6: contact6, BFsd: seeds, BFpe: downloaders }
    const more = { samples: Buffer.concat([ID, ID]), num: 7, interval: 60 }
    expect(response({ ...fields, ...more }, countingMeter(), { ip, v: 'LT\x01\x02' })).toMatchObject({
      nodes: contact,
      nodes6: contact6,
      seeds,
      downloaders,
      samples: Buffer.concat([ID, ID]),
      num: 7,
      intervalS: 60,
      ip,
      version: Buffer.from('LT\x01\x02'),
    })
  })

  it('steps over what it does not know: BEP 44 values, long keys, keys out of order', () => {
    const long = 'x'.repeat(300)
    const bytes = `d1:y1:r1:t2:aa1:rd5:nodes0:1:vd1:ali1eee300:${long}i5e2:id20:mnopqrstuvwxyz123456e4:junkle2:roi1ee`
    expect(decode(bytes)).toMatchObject({ kind: 'response', id: ID })
  })

  it.each([
    ['no dictionary', 'le'],
    ['nothing', ''],
    ['no transaction id', 'd1:rd2:id20:mnopqrstuvwxyz123456e1:y1:re'],
    ['a number as transaction id', 'd1:rd2:id20:mnopqrstuvwxyz123456e1:ti5e1:y1:re'],
    ['no id', 'd1:rde1:t2:aa1:y1:re'],
    ['an id of 19 bytes', 'd1:rd2:id19:mnopqrstuvwxyz12345e1:t2:aa1:y1:re'],
    ['an id that is a list', 'd1:rd2:idlee1:t2:aa1:y1:re'],
    ['no body', 'd1:t2:aa1:y1:re'],
    ['a body that is a list', 'd1:rl2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re'],
    ['an unknown type', 'd1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:ze'],
    ['an error without code', 'd1:ele1:t2:aa1:y1:ee'],
    ['a query without id', 'd1:ade1:q4:ping1:t2:aa1:y1:qe'],
    ['bytes after the message', 'd1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:reX'],
    ['a string longer than the datagram', 'd1:rd2:id20:mnopqrstuvwxyz123456e1:t9999:aa1:y1:re'],
    ['a length beyond what a double holds', 'd1:rd2:id20:mnopqrstuvwxyz123456e1:t99999999999999999999:aa1:y1:re'],
    ['a dictionary key that is a number', 'd1:rd2:id20:mnopqrstuvwxyz123456i1e1:xe1:t2:aa1:y1:re'],
    ['deep nesting', `d1:rd2:id20:mnopqrstuvwxyz1234561:x${'l'.repeat(50)}${'e'.repeat(50)}e1:t2:aa1:y1:re`],
    ['too many values', `d1:rd2:id20:mnopqrstuvwxyz1234561:xl${'0:'.repeat(limits.krpcItems)}ee1:t2:aa1:y1:re`],
    ['nesting without end', 'l'.repeat(4_000)],
  ])('takes no message with %s', (_, message) => {
    expect(decode(message)).toBeUndefined()
  })

  it('reads a one-bit mutant as no message, or as one that differs only where the bit was', () => {
    const original = decode(VALID) as KrpcResponse
    let dropped = 0
    for (let bit = 0; bit < VALID.length * 8; bit++) {
      const bytes = Buffer.from(VALID, 'latin1')
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7))
      const message = decode(bytes)
      const at = bit >> 3
      if (message === undefined) dropped++
      else if (at >= VALID.indexOf('mnop') && at < VALID.indexOf('mnop') + 20) expect(message).not.toEqual(original)
      else if (at >= VALID.indexOf('aa') && at < VALID.indexOf('aa') + 2) expect(message).not.toEqual(original)
      // What is left are keys and values of optional fields.
      else expect({ ...message, nodes: original.nodes }).toEqual(original)
    }
    expect(dropped).toBeGreaterThan(150)
  })

  it('keeps the good entries of values beside bad ones, and tells families apart by length', () => {
    const meter = countingMeter()
    const v4 = encodeCompact({ address: '203.0.113.9', port: 6881 })
    const v6 = encodeCompact({ address: '2001:db8::9', port: 6881 })
    const found = response({ values: [v4.subarray(0, 5), v4, 7, v6, [v4], v4] }, meter)
    expect(found.values).toEqual(Buffer.concat([v4, v4]))
    expect(found.values6).toEqual(Buffer.from(v6))
    expect(meter.counts.get('dht.malformed.values')).toBe(3)
  })

  it('leaves out fields of a wrong length and caps all lists', () => {
    const meter = countingMeter()
    const wrong = {
      nodes: new Uint8Array(27),
      nodes6: new Uint8Array(37),
      BFsd: new Uint8Array(255),
      BFpe: 5,
      samples: new Uint8Array(21),
      num: -1,
      interval: 'soon',
      values: 'no list',
    }
    expect(response(wrong, meter)).toEqual(response({}))
    for (const name of Object.keys(wrong)) expect(meter.counts.get(`dht.malformed.${name}`)).toBe(1)

    expect(response({ nodes: new Uint8Array(26 * (limits.krpcNodes + 3)) }, meter).nodes).toHaveLength(
      26 * limits.krpcNodes,
    )
    expect(meter.counts.get('dht.capped.nodes')).toBe(3)

    const { values } = response({ values: Array(limits.krpcValues + 2).fill(new Uint8Array(6)) }, meter)
    expect(values).toHaveLength(6 * limits.krpcValues)
    expect(meter.counts.get('dht.capped.values')).toBe(2)
  })

  it('throws for no bytes', () => {
    const valid = encodeBencode({
      t: 'aaaa',
      y: 'r',
      r: { id: ID, nodes: new Uint8Array(52), values: [new Uint8Array(6), new Uint8Array(18)], token: 'x', num: 5 },
    })
    const mutated = fc
      .tuple(
        fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 8 }),
        fc.integer({ min: 1, max: valid.length }),
      )
      .map(([changes, length]) => {
        const copy = Uint8Array.from(valid)
        for (const [at, byte] of changes) copy[at] = byte
        return copy.subarray(0, length > valid.length / 2 ? valid.length : length)
      })
    const structure = fc
      .array(fc.constantFrom('d', 'l', 'e', 'i', '1:', '2:', '20:', 'r', 'id', 'values', '6:', '5', '-', '1:y1:r'))
      .map((parts) => Buffer.from(parts.join('')))
    fc.assert(
      fc.property(fc.oneof(mutated, structure, fc.uint8Array({ maxLength: 200 })), (bytes) => {
        const message = decode(bytes)
        if (message?.kind !== 'response') return
        expect(message.id).toHaveLength(20)
        expect(message.nodes.length % 26).toBe(0)
        expect(message.values.length % 6).toBe(0)
      }),
      { numRuns: 5_000 },
    )
  })

  it('reads from any valid message what the bencode package reads', () => {
    const blob = (size: number) => fc.uint8Array({ minLength: size, maxLength: size })
    const optional = fc.record(
      {
        nodes: fc.array(blob(26), { maxLength: 8 }).map((list) => Buffer.concat(list)),
        nodes6: fc.array(blob(38), { maxLength: 8 }).map((list) => Buffer.concat(list)),
        values: fc.array(fc.oneof(blob(6), blob(18)), { maxLength: 30 }),
        BFsd: blob(256),
        BFpe: blob(256),
        samples: fc.array(blob(20), { maxLength: 4 }).map((list) => Buffer.concat(list)),
        num: fc.nat(1_000_000),
        interval: fc.nat(21_600),
        token: fc.uint8Array({ maxLength: 8 }),
        unknown: fc.array(fc.nat(), { maxLength: 3 }),
      },
      { requiredKeys: [] },
    )
    const top = fc.record({ v: blob(4), ip: fc.oneof(blob(6), blob(18)), ro: fc.nat(1) }, { requiredKeys: [] })
    fc.assert(
      fc.property(blob(4), blob(20), optional, top, (t, id, fields, more) => {
        const bytes = bencode.encode({ t, y: 'r', r: { id, ...fields }, ...more })
        const theirs = bencode.decode(bytes) as {
          t: Uint8Array
          v?: Uint8Array
          ip?: Uint8Array
          r: { [key: string]: Uint8Array | Uint8Array[] | number }
        }
        const values = (theirs.r.values ?? []) as Uint8Array[]
        const plain = (field: unknown) => (field === undefined ? undefined : Buffer.from(field as Uint8Array))
        expect(decode(bytes)).toEqual({
          kind: 'response',
          tid: plain(theirs.t),
          version: plain(theirs.v),
          ip: plain(theirs.ip),
          id: plain(theirs.r.id),
          nodes: plain(theirs.r.nodes ?? []),
          nodes6: plain(theirs.r.nodes6 ?? []),
          values: Buffer.concat(values.filter(({ length }) => length === 6)),
          values6: Buffer.concat(values.filter(({ length }) => length === 18)),
          seeds: plain(theirs.r.BFsd),
          downloaders: plain(theirs.r.BFpe),
          samples: plain(theirs.r.samples),
          num: theirs.r.num,
          intervalS: theirs.r.interval,
        })
      }),
    )
  })
})

describe('contacts', () => {
  const v4: Contact[] = [1, 2].map((last) => ({ id: ID, endpoint: { address: `203.0.113.${last}`, port: 6881 } }))
  const v6: Contact[] = [1, 2].map((last) => ({ id: ID, endpoint: { address: `2001:db8::${last}`, port: 6881 } }))

  it('are unpacked as they were packed', () => {
    expect(unpackContacts(packContacts(v4), 4)).toEqual(v4)
    expect(unpackContacts(packContacts(v6), 6)).toEqual(v6)
    expect(endpointAt(packContacts(v6), 38 + 20, 6)).toEqual(v6[1]?.endpoint)
  })

  it('have a mark for each endpoint, the same from bytes and from text', () => {
    expect(markAt(packContacts(v4), 26 + 20, 4)).toBe(markOf({ address: '203.0.113.2', port: 6881 }))
    expect(markAt(packContacts(v6), 38 + 20, 6)).toBe(markOf({ address: '2001:db8::2', port: 6881 }))
    expect(markOf({ address: '203.0.113.2', port: 6881 })).not.toBe(markOf({ address: '203.0.113.2', port: 6882 }))
  })
})
