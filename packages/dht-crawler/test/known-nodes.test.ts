import { createHash } from 'node:crypto'
import { limits } from '@swarmatlas/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createKnownNodes } from '../src/known-nodes.ts'
import { distance } from '../src/lookup/distance.ts'

const idOf = (index: number) => createHash('sha1').update(`${index}`).digest()
const endpointOf = (index: number) => ({
  address: `5.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
  port: 6_881,
})

describe('known nodes', () => {
  it('gives the nearest of those that answered and were not lost', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(2_000), { maxLength: 200 }), fc.nat(20), (indexes, lost) => {
        const known = createKnownNodes()
        for (const index of indexes) known.answered(idOf(index), endpointOf(index))
        for (const index of indexes.slice(0, lost)) known.lost(endpointOf(index), idOf(index))
        const left = indexes.slice(lost)
        const target = idOf(-1)
        const byDistance = left.toSorted((a, b) => distance(idOf(a), target) - distance(idOf(b), target))
        expect(known.nearest(target, 16).map(({ endpoint }) => endpoint)).toEqual(
          byDistance.slice(0, 16).map(endpointOf),
        )
        expect(known.count).toBe(left.length)
      }),
    )
  })

  it('is bounded, however many answer, and keeps the latest of a kind', () => {
    const known = createKnownNodes()
    const id = idOf(1)
    for (let index = 0; index < 1_000; index++) known.answered(id, endpointOf(index))
    expect(known.count).toBe(limits.dhtKnownNodesPerSlot)
    expect(known.nearest(id, 100).map(({ endpoint }) => endpoint)).toContainEqual(endpointOf(999))
    for (let index = 0; index < 5_000; index++) known.heardOf({ id, endpoint: endpointOf(10_000 + index) })
    expect(known.nearest(id, 10_000).length).toBe(limits.dhtKnownNodesPerSlot + limits.dhtRumours)
  })

  it('gives those heard of beside them, until enough have answered', () => {
    const known = createKnownNodes()
    known.heardOf({ id: idOf(1), endpoint: endpointOf(1) })
    known.heardOf({ id: idOf(2), endpoint: endpointOf(2) })
    known.answered(idOf(2), endpointOf(2))
    expect(known.nearest(idOf(1), 8).map(({ endpoint }) => endpoint)).toEqual([endpointOf(2), endpointOf(1)])
    for (let index = 10; index < 10 + 2 * limits.dhtEntryPool; index++) known.answered(idOf(index), endpointOf(index))
    expect(known.nearest(idOf(1), 4_000).map(({ endpoint }) => endpoint)).not.toContainEqual(endpointOf(1))
  })
})
