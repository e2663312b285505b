import { expect, it } from 'vitest'
import { Ledger } from '../src/index.ts'

const nothing = { bytesIn: 0, bytesOut: 0, packetsIn: 0, packetsOut: 0 }

it('books UDP exactly: 28 bytes of headers on IPv4, 48 on IPv6', () => {
  const ledger = new Ledger()
  ledger.datagram('dht', 'out', 100, 4)
  ledger.datagram('dht', 'in', 300, 4)
  ledger.datagram('dht', 'in', 0, 4)
  ledger.datagram('tracker', 'out', 16, 6)
  expect(ledger.totals()).toEqual({
    dht: { bytesOut: 128, packetsOut: 1, bytesIn: 356, packetsIn: 2 },
    tracker: { bytesOut: 64, packetsOut: 1, bytesIn: 0, packetsIn: 0 },
    pex: nothing,
  })
})

it('books a refused dial as one SYN and one RST, a silent one as the SYNs that the system sends', () => {
  const ledger = new Ledger()
  ledger.failedConnect('pex', 4, true, 20)
  expect(ledger.totals().pex).toEqual({ bytesOut: 60, packetsOut: 1, bytesIn: 40, packetsIn: 1 })
  const sentAfter = (waitedMs: number) => {
    const silent = new Ledger()
    silent.failedConnect('pex', 6, false, waitedMs)
    return silent.totals().pex
  }
  expect(sentAfter(999)).toEqual({ bytesOut: 80, packetsOut: 1, bytesIn: 0, packetsIn: 0 })
  // Linux sends again after 1, 3 and 7 seconds.
  expect([1_000, 2_999, 3_000, 5_000, 7_000].map((ms) => sentAfter(ms).packetsOut)).toEqual([2, 2, 3, 3, 4])
})

it('counts an open stream as it grows, and once after it closed', () => {
  const ledger = new Ledger()
  const stream = { bytesRead: 0, bytesWritten: 68 }
  const account = ledger.opened('pex', 4, stream)
  const early = ledger.totals().pex
  expect(early.bytesOut).toBeGreaterThan(68)
  stream.bytesRead = 100_000
  const late = ledger.totals().pex
  // Payload, a header of 52 for each of its 70 segments, and the answer to our opening.
  expect(late.bytesIn).toBe(100_000 + late.packetsIn * 52)
  expect(late.packetsIn).toBeGreaterThan(70)
  account.closed()
  account.closed()
  expect(ledger.totals().pex).toEqual(late)
  stream.bytesRead = 1_000_000
  expect(ledger.totals().pex).toEqual(late)
})

it('gives totals that later bookings do not change', () => {
  const ledger = new Ledger()
  const before = ledger.totals()
  ledger.datagram('dht', 'out', 1, 4)
  expect(before.dht).toEqual(nothing)
})
