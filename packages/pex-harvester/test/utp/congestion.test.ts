import { limits } from '@swarmatlas/core'
import { expect, test } from 'vitest'
import { createCongestionWindow } from '../../src/utp/congestion.ts'

const PACKET = 1_000

/** A window after `rounds` full windows were acknowledged, each with its delay in microseconds. */
function grown(rounds: readonly number[], window = createCongestionWindow(PACKET)) {
  for (const delayUs of rounds) {
    for (let rest = window.bytes; rest > 0; rest -= PACKET) window.acknowledged(PACKET, { delayUs, full: true })
  }
  return window
}

test('doubles while there is no queue, up to its ceiling; a writer who does not fill it gains nothing', () => {
  const window = createCongestionWindow(PACKET)
  const start = window.bytes
  expect(start).toBe(limits.utpInitialPackets * PACKET)
  window.acknowledged(PACKET, { delayUs: 5, full: false })
  expect(window.bytes).toBe(start)
  expect(grown([5], window).bytes).toBe(2 * start)
  expect(grown(Array(20).fill(5), window).bytes).toBe(limits.utpSendWindowBytes)
})

test.each([
  ['an offset of nothing', 1],
  ['an offset that wraps', 2 ** 32 - 10_000],
])(
  'delay above the target shrinks it, below lets it grow by a packet in a round trip: clocks with %s',
  (_name, offset) => {
    const at = (queueingUs: number) => (offset + queueingUs) % 2 ** 32
    const window = grown([at(0), at(0)])
    const top = window.bytes
    const target = limits.utpTargetDelayUs
    grown(Array(5).fill(at(2 * target)), window)
    const low = window.bytes
    expect(low).toBeLessThan(top - 3 * PACKET)
    grown([at(target)], window)
    expect(window.bytes).toBe(low)
    grown([at(0)], window)
    expect(window.bytes - low).toBeGreaterThan(PACKET / 2)
    expect(window.bytes - low).toBeLessThanOrEqual(PACKET)
  },
)

test('never falls below a packet', () => {
  expect(grown([1, ...Array(100).fill(10 * limits.utpTargetDelayUs)]).bytes).toBe(PACKET)
})

test('halves on loss, once in a round trip; a timeout leaves one packet, from which it doubles to half of what it was', () => {
  const window = grown([5, 5])
  const top = window.bytes
  window.lost(1_000, 100)
  window.lost(1_050, 100)
  expect(window.bytes).toBe(top / 2)
  window.lost(1_100, 100)
  expect(window.bytes).toBe(top / 4)
  const again = grown([5, 5])
  again.timedOut()
  expect(again.bytes).toBe(PACKET)
  expect(grown([5, 5, 5], again).bytes).toBe(top / 2)
  expect(grown([5], again).bytes).toBeLessThan(top / 2 + 1.1 * PACKET)
})
