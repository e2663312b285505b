import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodePacket, encodePacket, type PacketHeader, TYPE } from '../../src/utp/packet.ts'

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))
const EMPTY = new Uint8Array()

/** As in BEP 29: type, version, extension, connection id, timestamp, difference, window, seq, ack. */
const VECTORS: [string, string, PacketHeader, string | undefined, string][] = [
  [
    'the SYN of a dial',
    '41 00 2b67 075bcd15 00000000 00100000 0001 0000',
    {
      type: TYPE.syn,
      connectionId: 0x2b67,
      timestampUs: 123_456_789,
      differenceUs: 0,
      windowBytes: 1_048_576,
      seq: 1,
      ack: 0,
    },
    undefined,
    '',
  ],
  [
    'data',
    '01 00 2b68 ffffffff 80000000 ffffffff ffff 8000 13426974',
    {
      type: TYPE.data,
      connectionId: 0x2b68,
      timestampUs: 2 ** 32 - 1,
      differenceUs: 2 ** 31,
      windowBytes: 2 ** 32 - 1,
      seq: 65_535,
      ack: 32_768,
    },
    undefined,
    '13426974',
  ],
  [
    'a STATE with a selective ACK',
    '21 01 2b67 00000001 00000002 00000003 0004 0005 00 04 01000080',
    { type: TYPE.state, connectionId: 0x2b67, timestampUs: 1, differenceUs: 2, windowBytes: 3, seq: 4, ack: 5 },
    '01000080',
    '',
  ],
]

test.each(VECTORS)('%s', (_name, bytes, header, sack, payload) => {
  const packet = decodePacket(hex(bytes))
  expect(packet).toMatchObject(header)
  expect(packet?.sack && Buffer.from(packet.sack).toString('hex')).toBe(sack)
  expect(Buffer.from(packet?.payload ?? []).toString('hex')).toBe(payload)
  expect(encodePacket(header, sack === undefined ? undefined : hex(sack), hex(payload))).toEqual(
    Buffer.from(hex(bytes)),
  )
})

test.each(VECTORS)('one flipped bit: %s decodes to something else, or not at all', (_name, text) => {
  const original = JSON.stringify(decodePacket(hex(text)))
  for (let bit = 0; bit < hex(text).length * 8; bit++) {
    const mutant = hex(text)
    mutant[bit >> 3] = (mutant[bit >> 3] as number) ^ (0x80 >> (bit & 7))
    expect(JSON.stringify(decodePacket(mutant)), `bit ${bit}`).not.toBe(original)
  }
})

const HEADER = '0000 00000000 00000000 00000000 0000 0000'

test.each([
  ['empty', ''],
  ['19 bytes', `21 00 ${HEADER}`.slice(0, -2)],
  ['version 0', `20 00 ${HEADER}`],
  ['version 2', `22 00 ${HEADER}`],
  ['type 5', `51 00 ${HEADER}`],
  ['type 15', `f1 00 ${HEADER}`],
  ['an announced extension that is not there', `21 01 ${HEADER}`],
  ['an extension without its length', `21 01 ${HEADER} 00`],
  ['an extension longer than the packet', `21 01 ${HEADER} 00 05 00000000`],
  ['a chain that does not end', `21 02 ${HEADER} ${'02 00 '.repeat(200)}`],
  ['a KRPC message', Buffer.from('d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:pinge').toString('hex')],
])('not a packet: %s', (_name, text) => {
  expect(decodePacket(hex(text))).toBeUndefined()
})

test('unknown extensions are passed over; of two selective ACKs the first counts', () => {
  const chain = '03 04 00000001  01 08 0000000000000000  01 04 11111111  00 04 22222222'
  const packet = decodePacket(hex(`21 02 ${HEADER} ${chain} ff`.replace('21 02', '01 02')))
  expect(Buffer.from(packet?.sack ?? []).toString('hex')).toBe('11111111')
  expect(packet?.payload).toEqual(Buffer.from([0xff]))
})

test('no bytes throw, and what decodes never reaches beyond the datagram', () => {
  const startsLikeOne = fc
    .tuple(fc.constantFrom(0x01, 0x11, 0x21, 0x31, 0x41), fc.uint8Array({ maxLength: 400 }))
    .map(([first, rest]) => Uint8Array.from([first, ...rest]))
  fc.assert(
    fc.property(fc.oneof(startsLikeOne, fc.uint8Array({ maxLength: 60 })), (bytes) => {
      const packet = decodePacket(bytes)
      if (packet === undefined) return
      expect(packet.payload.length + (packet.sack?.length ?? 0)).toBeLessThanOrEqual(bytes.length - 20)
    }),
    { numRuns: 2_000 },
  )
})

test('what is encoded is decoded', () => {
  const u = (bits: number) => fc.integer({ min: 0, max: 2 ** bits - 1 })
  const headers = fc.record({
    type: fc.constantFrom(...Object.values(TYPE)),
    connectionId: u(16),
    timestampUs: u(32),
    differenceUs: u(32),
    windowBytes: u(32),
    seq: u(16),
    ack: u(16),
  })
  const sacks = fc.option(fc.uint8Array({ minLength: 4, maxLength: 32 }), { nil: undefined })
  fc.assert(
    fc.property(headers, sacks, fc.uint8Array(), (header, sack, payload) => {
      const packet = decodePacket(encodePacket(header, sack, payload))
      expect(packet).toMatchObject(header)
      expect(packet?.sack && Uint8Array.from(packet.sack)).toEqual(sack)
      expect(Uint8Array.from(packet?.payload ?? EMPTY)).toEqual(payload)
    }),
  )
})
