/** Lookups on topologies that a table describes: who is where, who is alive, whom each names. No socket, no clock but a counter. */
import { createHash } from 'node:crypto'
import type { Clock, Endpoint } from '@swarmatlas/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Contact, packContacts } from '../src/contact.ts'
import { distance } from '../src/lookup/distance.ts'
import { createTraversal, type Traversal } from '../src/lookup/traversal.ts'
import type { Answer, QueryOutcome } from '../src/query-socket.ts'
import { createQueryWindow } from '../src/query-window.ts'

type Nature = 'live' | 'dead' | 'late' | 'liar' | 'forbidden'

interface SimNode {
  readonly nature: Nature
  /** Indexes of the nodes that it names. */
  readonly names: readonly number[]
}

const TARGET = Buffer.alloc(20)
const EMPTY = Buffer.alloc(0)
const endpointOf = (index: number): Endpoint => ({ address: `10.${index >> 8}.${index & 255}.1`, port: 6_881 })
const indexOf = ({ address }: Endpoint): number => {
  const [, high, low] = address.split('.').map(Number) as [number, number, number]
  return (high << 8) | low
}
const idOf = (index: number): Buffer => createHash('sha1').update(`node ${index}`).digest()
const nearest = (indexes: readonly number[]): number[] =>
  indexes.toSorted((a, b) => distance(idOf(a), TARGET) - distance(idOf(b), TARGET))

/** Runs a traversal over the table to its end; the time is that of a queue of events. */
function traverse(
  nodes: readonly SimNode[],
  { seeds = [0], k = 8, alpha = 4, size = 100, perPrefix = Number.POSITIVE_INFINITY, endpoint = endpointOf } = {},
) {
  const events: { atMs: number; fire: () => void }[] = []
  let nowMs = 0
  const at = (ms: number, fire: () => void) => void events.push({ atMs: nowMs + ms, fire })
  const clock: Clock = {
    now: () => nowMs,
    monotonic: () => nowMs,
    timer(ms, fire) {
      let open = true
      at(ms, () => open && fire())
      return {
        cancel() {
          open = false
        },
      }
    },
  }
  const asked: number[] = []
  const answers: number[] = []
  let inFlight = 0
  let most = 0
  let idles = 0
  const contact = (index: number): Contact => ({ id: idOf(index), endpoint: endpoint(index) })
  const answerOf = (index: number): Answer => ({
    kind: 'answer',
    from: endpoint(index),
    otherPort: false,
    otherId: nodes[index]?.nature === 'liar',
    response: {
      kind: 'response',
      tid: EMPTY,
      id: nodes[index]?.nature === 'liar' ? Buffer.alloc(20, 1) : idOf(index),
      nodes: packContacts((nodes[index] as SimNode).names.map(contact)),
      nodes6: EMPTY,
      values: EMPTY,
      values6: EMPTY,
      version: undefined,
      ip: undefined,
      seeds: undefined,
      downloaders: undefined,
      samples: undefined,
      num: undefined,
      intervalS: undefined,
    },
  })
  const byEndpoint = new Map(nodes.map((_, index) => [endpoint(index).address, index]))
  const traversal: Traversal = createTraversal(
    {
      clock,
      window: createQueryWindow({ size }),
      seeds: () => [],
      answered: (answer) => void answers.push(byEndpoint.get(answer.from.address) as number),
      idle: () => void idles++,
      ask({ to }, heard: (outcome: QueryOutcome) => void) {
        const index = byEndpoint.get(to.address) ?? indexOf(to)
        const nature = nodes[index]?.nature ?? 'dead'
        if (nature === 'forbidden') return { kind: 'unsent', reason: 'address' }
        asked.push(index)
        most = Math.max(most, ++inFlight)
        if (nature === 'live' || nature === 'liar') {
          at(80, () => {
            inFlight--
            heard(answerOf(index))
          })
        } else {
          at(130, () => {
            inFlight--
            heard({ kind: 'silent' })
          })
          at(600, () => heard(nature === 'late' ? answerOf(index) : { kind: 'lost' }))
        }
        return { kind: 'sent', abandon() {} }
      },
    },
    { target: TARGET, family: 4, alpha, k, perPrefix },
  )
  traversal.begin(seeds.map(contact), [])
  return {
    traversal,
    asked,
    answers,
    get most() {
      return most
    },
    get idles() {
      return idles
    },
    get nowMs() {
      return nowMs
    },
    /** Microtasks carry steps on: the queue waits for them. */
    async run(untilMs = Number.POSITIVE_INFINITY) {
      for (;;) {
        await Promise.resolve()
        await Promise.resolve()
        events.sort((a, b) => a.atMs - b.atMs)
        if ((events[0]?.atMs ?? Number.POSITIVE_INFINITY) > untilMs) return
        const next = events.shift()
        if (next === undefined) return
        nowMs = next.atMs
        next.fire()
      }
    },
  }
}

const all = (count: number, nature: (index: number) => Nature = () => 'live'): SimNode[] => {
  const everybody = Array.from({ length: count }, (_, index) => index)
  return everybody.map((index) => ({ nature: nature(index), names: everybody }))
}

describe('a traversal', () => {
  it('asks the nearest live nodes, and hardly anybody else', async () => {
    const run = traverse(all(30))
    await run.run()
    expect(new Set(nearest(run.answers).slice(0, 8))).toEqual(new Set(nearest([...Array(30).keys()]).slice(0, 8)))
    expect(run.asked.length).toBeLessThan(12)
    expect(run.traversal.isIdle).toBe(true)
    expect(run.most).toBeLessThanOrEqual(4)
  })

  it('lets neither the dead nor liars nor the forbidden hold places among the nearest', async () => {
    const byDistance = nearest([...Array(60).keys()])
    const natures: Nature[] = ['dead', 'liar', 'forbidden']
    const nature = (index: number): Nature => (byDistance.indexOf(index) < 20 ? (natures[index % 3] as Nature) : 'live')
    const run = traverse(all(60, nature), { seeds: [byDistance[59] as number] })
    await run.run()
    const live = byDistance.slice(20, 28)
    expect(run.answers).toEqual(expect.arrayContaining(live))
  })

  it('believes no neighbours of a node that is not who it was said to be', async () => {
    const run = traverse([
      { nature: 'liar', names: [1] },
      { nature: 'live', names: [] },
    ])
    await run.run()
    expect(run.asked).toEqual([0])
  })

  it('uses what comes late, and waits for it when it is near', async () => {
    const run = traverse([
      { nature: 'late', names: [1] },
      { nature: 'live', names: [] },
    ])
    await run.run()
    expect(run.answers).toEqual([0, 1])
    expect(run.nowMs).toBe(680)
  })

  it('goes on past the silent after their timeout, not after their last hope', async () => {
    const nodes: SimNode[] = [
      { nature: 'live', names: [1, 2, 3, 4, 5] },
      ...Array.from({ length: 4 }, (): SimNode => ({ nature: 'dead', names: [] })),
      { nature: 'live', names: [] },
    ]
    const run = traverse(nodes, { alpha: 1 })
    await run.run(80 + 4 * 130 + 80)
    expect(run.answers).toContain(5)
  })

  it('takes two nodes of a network at most', async () => {
    const endpoint = (index: number): Endpoint => ({ address: `10.0.${index < 20 ? 0 : index}.${index}`, port: 6_881 })
    const run = traverse(all(40), { endpoint, perPrefix: 2, seeds: [39] })
    await run.run()
    // Who was asked when fewer of its network were known may make a third.
    expect(new Set(run.asked.filter((index) => index < 20)).size).toBeLessThan(7)
    expect(new Set(run.answers.filter((index) => index >= 20)).size).toBeGreaterThanOrEqual(6)
  })

  it('stops at once when it is told to', async () => {
    const run = traverse(all(30))
    await run.run(80)
    const before = run.asked.length
    run.traversal.stop()
    await run.run()
    expect(run.asked).toHaveLength(before)
    expect(run.idles).toBe(0)
  })

  it('ends on any network, asks nobody twice, and finds the nearest that can be found', async () => {
    const natures = fc.constantFrom<Nature>('live', 'live', 'live', 'dead', 'late', 'liar', 'forbidden')
    const network = fc.integer({ min: 1, max: 40 }).chain((count) =>
      fc.array(fc.record({ nature: natures, names: fc.array(fc.nat(count - 1), { maxLength: 10 }) }), {
        minLength: count,
        maxLength: count,
      }),
    )
    await fc.assert(
      fc.asyncProperty(
        network,
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 20 }),
        async (nodes, alpha, k) => {
          const run = traverse(nodes, { alpha, k })
          await run.run()
          expect(run.traversal.isIdle).toBe(true)
          expect(new Set(run.asked).size).toBe(run.asked.length)
          expect(run.most).toBeLessThanOrEqual(alpha)
          // Whatever was named by who answered and is nearer than the k-th that answered has been asked.
          const told = new Set([
            0,
            ...run.answers.flatMap((index) =>
              nodes[index]?.nature === 'liar' ? [] : [...(nodes[index]?.names ?? [])],
            ),
          ])
          const sound = nearest(run.answers.filter((index) => nodes[index]?.nature !== 'liar'))
          const reach = sound.length < k ? Number.POSITIVE_INFINITY : distance(idOf(sound[k - 1] as number), TARGET)
          for (const index of told) {
            if (nodes[index]?.nature === 'forbidden' || distance(idOf(index), TARGET) >= reach) continue
            expect(run.asked).toContain(index)
          }
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('the window', () => {
  it('is shared in turns, never exceeded, and given back', () => {
    const window = createQueryWindow({ size: 2 })
    const served: string[] = []
    const lookup = (name: string) => {
      const send = () => {
        served.push(name)
        window.want(send)
        return true
      }
      window.want(send)
    }
    lookup('a')
    lookup('b')
    expect(served).toEqual(['a', 'a'])
    for (let index = 0; index < 4; index++) window.release()
    expect(served).toHaveLength(6)
    expect(served.slice(2).sort()).toEqual(['a', 'a', 'b', 'b'])
  })
})
