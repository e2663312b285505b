import { countingMeter, type Encodable, encodeBencode, encodeCompact, limits } from '@swarmatlas/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeKrpc, encodeContacts, encodeQuery, type KrpcResponse } from '../src/krpc.ts'

const ID = Buffer.from('mnopqrstuvwxyz123456')
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')
const decode = (message: string | Uint8Array, meter = countingMeter()) =>
  decodeKrpc(typeof message === 'string' ? Buffer.from(message, 'latin1') : message, meter)
const response = (r: { [key: string]: Encodable }, meter = countingMeter()) =>
  decode(encodeBencode({ t: 'aa', y: 'r', r: { id: ID, ...r } }), meter) as KrpcResponse

describe('encodeQuery', () => {
  it('writes what BEP 5 shows, with ro (BEP 43) and v', () => {
    const id = Buffer.from('abcdefghij0123456789')
    const bytes = encodeQuery(Buffer.from('aa'), { q: 'get_peers', a: { id, info_hash: ID } })
    expect(text(bytes)).toBe(
      'd1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers2:roi1e1:t2:aa1:v4:SA\x00\x011:y1:qe',
    )
  })
})

describe('decodeKrpc', () => {
  it('reads the messages of BEP 5', () => {
    expect(decode('d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe')).toMatchObject({ kind: 'query' })
    expect(decode('d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re')).toMatchObject({
      kind: 'response',
      tid: Buffer.from('aa'),
      id: ID,
      nodes: [],
      values: [],
    })
    expect(decode('d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee')).toMatchObject({ kind: 'error', code: 201 })
    const found = decode(
      'd1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re',
    ) as KrpcResponse
    expect(found.values).toEqual([
      { address: '97.120.106.101', port: 0x2e75 },
      { address: '105.100.104.116', port: 0x6e6d },
    ])
  })

  it.each([
    ['no dictionary', 'le'],
    ['no transaction id', 'd1:rd2:id20:mnopqrstuvwxyz123456e1:y1:re'],
    ['a number as transaction id', 'd1:rd2:id20:mnopqrstuvwxyz123456e1:ti5e1:y1:re'],
    ['no id', 'd1:rde1:t2:aa1:y1:re'],
    ['an id of 19 bytes', 'd1:rd2:id19:mnopqrstuvwxyz12345e1:t2:aa1:y1:re'],
    ['an id that is a list', 'd1:rd2:idlee1:t2:aa1:y1:re'],
    ['no body', 'd1:t2:aa1:y1:re'],
    ['an unknown type', 'd1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:ze'],
    ['an error without code', 'd1:ele1:t2:aa1:y1:ee'],
    ['a query without id', 'd1:ade1:q4:ping1:t2:aa1:y1:qe'],
    ['bytes after the message', 'd1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:reX'],
    ['deep nesting', `d1:rd2:id20:mnopqrstuvwxyz1234561:x${'l'.repeat(50)}${'e'.repeat(50)}e1:t2:aa1:y1:re`],
  ])('takes no message with %s', (_, message) => {
    expect(decode(message)).toBeUndefined()
  })

  it('keeps the good entries of values beside bad ones, and tells families apart by length', () => {
    const meter = countingMeter()
    const v4 = encodeCompact({ address: '203.0.113.9', port: 6881 })
    const v6 = encodeCompact({ address: '2001:db8::9', port: 6881 })
    const { values } = response({ values: [v4.subarray(0, 5), v4, 7, v6, [v4]] }, meter)
    expect(values).toEqual([
      { address: '203.0.113.9', port: 6881 },
      { address: '2001:db8::9', port: 6881 },
    ])
    expect(meter.counts.get('dht.malformed.values')).toBe(3)
  })

  it('leaves out nodes of a wrong length and caps all lists', () => {
    const meter = countingMeter()
    expect(response({ nodes: new Uint8Array(27), nodes6: new Uint8Array(37) }, meter)).toMatchObject({
      nodes: [],
      nodes6: [],
    })
    expect(meter.counts.get('dht.malformed.nodes')).toBe(1)
    expect(meter.counts.get('dht.malformed.nodes6')).toBe(1)

    const { nodes } = response({ nodes: new Uint8Array(26 * (limits.krpcNodes + 3)) }, meter)
    expect(nodes).toHaveLength(limits.krpcNodes)
    expect(meter.counts.get('dht.capped.nodes')).toBe(3)

    const { values } = response({ values: Array(limits.krpcValues + 2).fill(new Uint8Array(6)) }, meter)
    expect(values).toHaveLength(limits.krpcValues)
    expect(meter.counts.get('dht.capped.values')).toBe(2)
  })

  it('reads nodes and nodes6, and writes nodes back as they were', () => {
    const contact = Buffer.concat([ID, encodeCompact({ address: '203.0.113.9', port: 6881 })])
    const contact6 = Buffer.concat([ID, encodeCompact({ address: '2001:db8::9', port: 6881 })])
    const { nodes, nodes6 } = response({ nodes: contact, nodes6: contact6 })
    expect(nodes).toEqual([{ id: ID, endpoint: { address: '203.0.113.9', port: 6881 } }])
    expect(nodes6).toEqual([{ id: ID, endpoint: { address: '2001:db8::9', port: 6881 } }])
    expect(encodeContacts(nodes)).toEqual(contact)
  })

  it('throws for no bytes', () => {
    const valid = encodeBencode({
      t: 'aaaa',
      y: 'r',
      r: { id: ID, nodes: new Uint8Array(52), values: [new Uint8Array(6), new Uint8Array(18)], token: 'x' },
    })
    const mutated = fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 8 }).map((changes) => {
      const copy = Uint8Array.from(valid)
      for (const [at, byte] of changes) copy[at] = byte
      return copy
    })
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 200 })), (bytes) => {
        const message = decode(bytes)
        if (message?.kind === 'response') expect(message.id).toHaveLength(20)
      }),
      { numRuns: 3_000 },
    )
  })
})
