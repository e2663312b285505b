import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createPrng } from '../src/prng.ts'
import { type Contact, closest, sortedById, tableOf } from '../src/routing.ts'

const nodes = (count: number, seed: number): Contact[] => {
  const prng = createPrng(seed)
  return Array.from({ length: count }, (_, i) => ({
    id: prng.bytes(20),
    endpoint: { address: '127.0.0.1', port: i + 1 },
  }))
}
const number = (id: Uint8Array) => BigInt(`0x${Buffer.from(id).toString('hex')}`)
const sharedBits = (a: Uint8Array, b: Uint8Array) => 160 - (number(a) ^ number(b)).toString(2).length

test('the closest are those of the smallest XOR, nearest first', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(60), fc.integer({ min: 1, max: 12 }), (seed, size, count) => {
      const contacts = nodes(size, seed)
      const target = createPrng(`${seed} target`).bytes(20)
      const distance = ({ id }: Contact) => number(id) ^ number(target)
      const wanted = [...contacts].sort((a, b) => (distance(a) < distance(b) ? -1 : 1)).slice(0, count)
      expect(closest(target, contacts, count)).toEqual(wanted)
    }),
    { numRuns: 100 },
  )
})

test('a table holds a full bucket, or all there are, for each length of shared prefix; never the node itself', () => {
  const contacts = nodes(500, 1)
  for (const own of contacts.slice(0, 20)) {
    const table = tableOf(own, sortedById(contacts), createPrng(2))
    const perBucket = (list: readonly Contact[]) => {
      const counts = new Map<number, number>()
      for (const { id } of list) counts.set(sharedBits(own.id, id), (counts.get(sharedBits(own.id, id)) ?? 0) + 1)
      return counts
    }
    const there = perBucket(contacts.filter((contact) => contact !== own))
    expect(new Set(table).size).toBe(table.length)
    expect(table).not.toContain(own)
    expect(perBucket(table)).toEqual(new Map([...there].map(([bits, count]) => [bits, Math.min(count, 8)])))
  }
})
