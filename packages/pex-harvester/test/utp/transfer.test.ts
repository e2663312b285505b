import fc from 'fast-check'
import { expect, test } from 'vitest'
import { A, B, B6, connected, readAll, simulated, type WorldOptions } from './world.ts'

/** Sends bytes both ways at once and ends both halves; resolves with the virtual time that it took. */
function exchange(options: WorldOptions, there: Buffer, back: Buffer, to = B): Promise<number> {
  let tookMs = 0
  return simulated(options, async ({ machine, time }) => {
    const a = machine([A.address, '2001:db8::1'], A.port)
    const b = machine([B.address, B6.address], B.port)
    const [near, far] = await connected(a, b, to)
    const startedMs = time.elapsedMs()
    near.end(there)
    far.end(back)
    const [gotThere, gotBack] = await Promise.all([readAll(far), readAll(near)])
    expect(gotThere.equals(there)).toBe(true)
    expect(gotBack.equals(back)).toBe(true)
    tookMs = time.elapsedMs() - startedMs
    expect([near.bytesRead, near.bytesWritten]).toEqual([back.length, there.length + 1])
    expect([far.bytesRead, far.bytesWritten]).toEqual([there.length + 1, back.length])
  }).then(() => tookMs)
}

function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let i = 0, x = 1; i < length; i++) bytes[i] = x = (x * 1_103_515_245 + 12_345) & 0xff
  return bytes
}

const MEBIBYTE = noise(1_048_576)

test.each([
  ['a clean network', {}, 5_000],
  ['5 % loss', { lossShare: 0.05 }, 60_000],
  ['20 % loss', { lossShare: 0.2 }, 400_000],
  ['datagrams up to 50 ms late, overtaking each other', { jitterMs: 50 }, 60_000],
  ['20 % of the datagrams twice', { twiceShare: 0.2 }, 30_000],
  ['all of it', { lossShare: 0.05, jitterMs: 20, twiceShare: 0.1 }, 120_000],
] as const)('1 MiB both ways at once over %s', async (_name, options, withinMs) => {
  expect(await exchange({ delayMs: [50, 50], ...options }, MEBIBYTE, MEBIBYTE)).toBeLessThan(withinMs)
})

test('IPv6', () => exchange({ lossShare: 0.05 }, MEBIBYTE.subarray(0, 100_000), MEBIBYTE.subarray(0, 50_000), B6))

test('a late duplicate of data already taken does not reset a connection whose last FIN was lost', () =>
  exchange(
    { seed: 1_469_876_224, lossShare: 0.040_666_430_955_752_74, twiceShare: 0.068_951_560_417_190_21, jitterMs: 14 },
    Buffer.alloc(0),
    Buffer.from([0]),
  ))

test('any bytes, whatever the network does, arrive whole', async () => {
  // At more loss some connection would break now and then, rightly.
  const share = fc.double({ min: 0, max: 0.1, noNaN: true })
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 20_000 }),
      fc.uint8Array({ maxLength: 20_000 }),
      fc.record({ seed: fc.nat(), lossShare: share, twiceShare: share, jitterMs: fc.nat(200) }),
      async (there, back, network) => {
        await exchange(network, Buffer.from(there), Buffer.from(back))
      },
    ),
    { numRuns: 30 },
  )
})
