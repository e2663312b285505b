import { type BencodedDict, decodeBencode, encodeBencode } from '@swarmatlas/core'
import { describe, expect, it } from 'vitest'
import { encodeQuery } from '../src/krpc-encode.ts'

const ID = Buffer.from('abcdefghij0123456789')
const TARGET = Buffer.from('mnopqrstuvwxyz123456')
const TID = 0x61626364
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')

describe('encodeQuery', () => {
  it('writes what BEP 5 shows, with ro (BEP 43) and v', () => {
    expect(text(encodeQuery(TID, ID, { method: 'get_peers', target: TARGET }))).toBe(
      'd1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers2:roi1e1:t4:abcd1:v4:SA\x00\x011:y1:qe',
    )
    expect(text(encodeQuery(TID, ID, { method: 'ping' }))).toBe(
      'd1:ad2:id20:abcdefghij0123456789e1:q4:ping2:roi1e1:t4:abcd1:v4:SA\x00\x011:y1:qe',
    )
  })

  it.each([
    [
      'find_node with want (BEP 32)',
      { method: 'find_node', target: TARGET, want: 'both' },
      { target: TARGET, want: ['n4', 'n6'] },
    ],
    ['find_node of IPv6 nodes', { method: 'find_node', target: TARGET, want: 'n6' }, { target: TARGET, want: ['n6'] }],
    ['a scrape (BEP 33)', { method: 'get_peers', target: TARGET, scrape: true }, { info_hash: TARGET, scrape: 1 }],
    [
      'a search for downloaders (BEP 33)',
      { method: 'get_peers', target: TARGET, noseed: true, scrape: true, want: 'n4' },
      { info_hash: TARGET, noseed: 1, scrape: 1, want: ['n4'] },
    ],
    ['sample_infohashes (BEP 51)', { method: 'sample_infohashes', target: TARGET }, { target: TARGET }],
  ] as const)('writes canonical bencode: %s', (_, query, args) => {
    const bytes = encodeQuery(0xfffefdfc, ID, query)
    const v = (decodeBencode(bytes) as BencodedDict).get('v') as Uint8Array
    const a = { id: ID, ...('want' in args ? { ...args, want: [...args.want] } : args) }
    const canonical = encodeBencode({ a, q: query.method, ro: 1, t: Buffer.from('fffefdfc', 'hex'), v, y: 'q' })
    expect(text(bytes)).toBe(text(canonical))
  })
})
