import { describe, expect, it } from 'vitest'
import { A, answered, byPex, collect, dayMs, end, openStore, round, startMs, visitTo } from './fixtures.ts'
import { peerAt, placeOf, tellerAt } from './loads.ts'

describe('the n-th write failing', () => {
  it('loses nothing that was acknowledged and doubles nothing, for each n of a load', { timeout: 60_000 }, async () => {
    for (let n = 0, failed = true; failed; n++) {
      let left = n
      failed = false
      const onBatch = () => {
        if (left-- !== 0) return
        failed = true
        throw new Error('failed by the test')
      }
      /** As a caller does who does not give up. */
      const twice = <T>(task: () => Promise<T>): Promise<T> => task().catch(task)
      const graph = await openStore({ onBatch }).catch(() => undefined)
      // The very first writes make the store.
      if (graph === undefined) continue
      for (let number = 0; number < 2; number++) {
        const writer = await twice(() => graph.startRound(round))
        for (let group = 0; group < 2; group++) {
          for (let i = 0; i < 6; i++) writer.observation(A, byPex(tellerAt(group), peerAt(i)))
          writer.visit(A, visitTo(peerAt(group), answered))
          await twice(() => writer.flush())
        }
        await twice(() => writer.seal({ ...end, placeOf }))
      }
      await graph.close()
      const again = await openStore({ dir: graph.dir, create: false })
      const rounds = (await collect(again.rounds())).filter(({ observations }) => observations > 0)
      expect([n, rounds.map(({ peers, observations }) => [peers, observations])]).toEqual([
        n,
        [
          [6, 12],
          [6, 12],
        ],
      ])
      const edges = await collect(again.edges({}))
      expect([n, edges.map(({ count }) => count)]).toEqual([n, Array(12).fill(2)])
      expect([n, await collect(again.verify())]).toEqual([n, []])
      await again.close()
      if (!failed) expect(n).toBeGreaterThan(20)
    }
  })
})

describe('a clock that jumps a day both ways', () => {
  it('moves no fact and loses no peer', async () => {
    const graph = await openStore()
    for (const [number, jump] of [0, dayMs, -2 * dayMs, 5 * dayMs, -5 * dayMs].entries()) {
      graph.clock.ms += jump
      const atMs = graph.clock.ms
      const writer = await graph.startRound({ ...round, atMs })
      writer.observation(A, byPex(tellerAt(1), peerAt(1), { atMs }))
      graph.clock.ms -= dayMs
      writer.observation(A, byPex(tellerAt(1), peerAt(1), { atMs: graph.clock.ms }))
      await writer.flush()
      await writer.seal({ ...end, atMs: graph.clock.ms, placeOf })
      graph.clock.ms += dayMs
      expect(await collect(graph.peers({}))).toMatchObject([{ rounds: number + 1, tellers: 1 }])
    }
    expect(await collect(graph.edges({}))).toMatchObject([
      { count: 10, firstSeenMs: startMs - 2 * dayMs, lastSeenMs: startMs + 4 * dayMs },
    ])
    expect(await collect(graph.verify())).toEqual([])
  })
})
