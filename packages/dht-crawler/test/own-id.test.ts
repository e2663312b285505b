import { describe, expect, it } from 'vitest'
import { isSecureId, secureId } from '../src/own-id.ts'
import { checkReceiveBuffer } from '../src/receive-window.ts'
import { createReplyTimes } from '../src/reply-times.ts'

describe('secureId', () => {
  // The vectors of BEP 42.
  it.each([
    ['124.31.75.21', 1, '5fbfbf'],
    ['21.75.31.124', 86, '5a3ce9'],
    ['65.23.51.170', 22, 'a5d432'],
    ['84.124.73.14', 65, '1b0321'],
    ['43.213.53.83', 90, 'e56f6c'],
  ])('of %s with %i begins with %s', (address, last, prefix) => {
    const id = secureId(address, Buffer.alloc(20, last))
    const expected = Buffer.from(prefix, 'hex')
    expect(id.subarray(0, 2)).toEqual(expected.subarray(0, 2))
    expect((id[2] as number) & 0xf8).toBe((expected[2] as number) & 0xf8)
    expect(id[19]).toBe(last)
    expect(isSecureId(id, address)).toBe(true)
  })

  it('covers 21 bits of the id, and nothing behind them', () => {
    const id = secureId('2001:db8::1', Buffer.alloc(20, 3))
    for (let bit = 0; bit < 152; bit++) {
      const other = Buffer.from(id)
      other[bit >> 3] = (other[bit >> 3] as number) ^ (0x80 >> (bit & 7))
      expect([bit, isSecureId(other, '2001:db8::1')]).toEqual([bit, bit >= 21])
    }
  })
})

describe('checkReceiveBuffer', () => {
  it('makes the window follow what the system grants', () => {
    expect(checkReceiveBuffer(212_992)).toMatchObject({ window: 92, problem: expect.stringContaining('rmem_max') })
    expect(checkReceiveBuffer(8_388_608).window).toBe(3_640)
    expect(checkReceiveBuffer(8_388_608).problem).toBeUndefined()
    expect(checkReceiveBuffer(0).window).toBe(1)
  })
})

describe('createReplyTimes', () => {
  it('gives up places by the ninth tenth, hope by the last replies, within floor and ceiling', () => {
    const times = createReplyTimes()
    expect(times.slotMs('new')).toBe(2_000)
    for (let index = 0; index < 256; index++) times.observe('known', index % 20 === 0 ? 700 : 160)
    expect(times.slotMs('known')).toBe(200)
    expect(times.patienceMs('known')).toBeCloseTo(770)
    // Nothing is known of the others yet.
    expect(times.slotMs('new')).toBe(200)
    for (let index = 0; index < 8; index++) times.observe('new', 5_000)
    expect(times.slotMs('new')).toBe(2_000)
    for (let index = 0; index < 256; index++) times.observe('known', 1)
    expect(times.slotMs('known')).toBe(100)
  })
})
