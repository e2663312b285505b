/** Seeded randomness: xorshift128 (Marsaglia, "Xorshift RNGs", 2003). The same seed gives the same numbers on every machine. */
import { createHash } from 'node:crypto'

export interface Prng {
  /** An integer in [0, bound). */
  below(bound: number): number
  bytes(length: number): Uint8Array
  /** `count` of the items, in random order; all of them when there are fewer. */
  sample<T>(items: readonly T[], count: number): T[]
  /** An independent source: what one part draws does not move another's numbers. */
  derive(label: string): Prng
}

export function createPrng(seed: number | string): Prng {
  const digest = createHash('sha256').update(String(seed)).digest()
  let [a, b, c, d] = [0, 4, 8, 12].map((at) => digest.readUInt32LE(at)) as [number, number, number, number]

  function next(): number {
    const mixed = a ^ (a << 11)
    a = b
    b = c
    c = d
    d = (d ^ (d >>> 19) ^ mixed ^ (mixed >>> 8)) >>> 0
    return d
  }

  const below = (bound: number) => Math.floor((next() / 2 ** 32) * bound)
  return {
    below,
    bytes: (length) => Uint8Array.from({ length }, () => next() & 0xff),
    sample(items, count) {
      const pool = [...items]
      const drawn = Math.min(count, pool.length)
      for (let i = 0; i < drawn; i++) {
        const j = i + below(pool.length - i)
        ;[pool[i], pool[j]] = [pool[j] as (typeof pool)[number], pool[i] as (typeof pool)[number]]
      }
      return pool.slice(0, drawn)
    },
    derive: (label) => createPrng(`${seed}/${label}`),
  }
}
