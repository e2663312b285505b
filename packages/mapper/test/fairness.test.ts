/** The parts that share what is scarce: places for sessions and questions, and the reader's time. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createEventQueue } from '../src/event-queue.ts'
import { createGathering } from '../src/gathering.ts'
import { createSemaphore } from '../src/semaphore.ts'
import { createSessionPool } from '../src/session-pool.ts'

const tick = () => new Promise<void>((resolve) => setImmediate(resolve))

/** A task that ends when told. */
function held() {
  let end: (error?: unknown) => void = () => {}
  const done = new Promise<void>((resolve, reject) => {
    end = (error) => (error === undefined ? resolve() : reject(error))
  })
  return { done, end: (error?: unknown) => end(error) }
}

describe('the session pool', () => {
  test('a huge swarm does not hold up a small one', async () => {
    const pool = createSessionPool({ places: 10 })
    const order: string[] = []
    const all: Promise<void>[] = []
    const add = (key: string) =>
      all.push(
        pool.add(key, async () => {
          order.push(key)
          await tick()
        }),
      )
    for (let i = 0; i < 2_000; i++) add('huge')
    for (let i = 0; i < 20; i++) add('small')
    await Promise.all(all)
    // Every second place was the small one's.
    expect(order.lastIndexOf('small')).toBeLessThan(10 + 2 * 20)
    expect(order).toHaveLength(2_020)
  })

  test('what a session throws reaches who added it, and its place goes on', async () => {
    const pool = createSessionPool({ places: 1 })
    const broken = pool.add('a', () => Promise.reject(new Error('broken')))
    const sound = pool.add('a', async () => {})
    await expect(broken).rejects.toThrow('broken')
    await sound
  })

  test('property: all run, each swarm in its order, never more at once than there are places, no place idle', () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c'), ticks: fc.nat(3), fails: fc.boolean() }), {
          maxLength: 40,
        }),
        async (places, sessions) => {
          const pool = createSessionPool({ places })
          const ran: { key: string; index: number }[] = []
          let running = 0
          let most = 0
          const all = sessions.map(({ key, ticks, fails }, index) =>
            pool.add(key, async () => {
              ran.push({ key, index })
              most = Math.max(most, ++running)
              for (let i = 0; i < ticks; i++) await tick()
              running--
              if (fails) throw new Error('failed')
            }),
          )
          expect(running).toBeLessThanOrEqual(places)
          await Promise.allSettled(all)
          expect(ran).toHaveLength(sessions.length)
          expect(most).toBeLessThanOrEqual(places)
          for (const key of ['a', 'b', 'c']) {
            const own = ran.filter((session) => session.key === key).map(({ index }) => index)
            expect(own).toEqual([...own].sort((x, y) => x - y))
          }
        },
      ),
      { numRuns: 60 },
    ))
})

describe('a semaphore', () => {
  test('lets in as many as it has places, the others in order', async () => {
    const semaphore = createSemaphore({ places: 2 })
    const { signal } = new AbortController()
    const tasks = [held(), held(), held(), held()]
    const entered: number[] = []
    const all = tasks.map((task, index) =>
      semaphore.use(() => {
        entered.push(index)
        return task.done
      }, signal),
    )
    await tick()
    expect(entered).toEqual([0, 1])
    tasks[1]?.end()
    await tick()
    expect(entered).toEqual([0, 1, 2])
    tasks[0]?.end(new Error('broken'))
    await expect(all[0]).rejects.toThrow('broken')
    await tick()
    expect(entered).toEqual([0, 1, 2, 3])
    for (const task of tasks) task.end()
    await Promise.allSettled(all)
  })

  test('who is called off leaves the line, and no place is lost by it', async () => {
    const semaphore = createSemaphore({ places: 1 })
    const controller = new AbortController()
    const { signal } = new AbortController()
    const first = held()
    const running = semaphore.use(() => first.done, signal)
    const waiting = semaphore.use(async () => 'never', controller.signal)
    const later = semaphore.use(async () => 'later', signal)
    controller.abort('called off')
    await expect(waiting).rejects.toBe('called off')
    first.end()
    await running
    expect(await later).toBe('later')
    expect(await semaphore.use(async () => 'free', signal)).toBe('free')
    await expect(semaphore.use(async () => 'never', controller.signal)).rejects.toBe('called off')
  })
})

describe('a gathering', () => {
  test('is done when no task is left, those included that tasks started', async () => {
    const errors: unknown[] = []
    const gathering = createGathering({ onError: (error) => errors.push(error) })
    await gathering.done()
    const inner = held()
    let done = false
    gathering.start(async () => {
      gathering.start(() => inner.done)
      throw new Error('outer')
    })
    const end = gathering.done().then(() => {
      done = true
    })
    await tick()
    expect(done).toBe(false)
    inner.end()
    await end
    expect(errors).toEqual([new Error('outer')])
  })
})

describe('the event queue', () => {
  /** Pushes 1, 2, 3, … as fast as there is room, until told to stop. */
  function pusher(queue: ReturnType<typeof createEventQueue<number>>) {
    const state = { pushed: 0, stop: false, ended: false }
    void (async () => {
      while (!state.stop) await queue.push(++state.pushed)
      state.ended = true
    })()
    return state
  }

  test('a slow reader slows the collectors: never more than two capacities wait for it', async () => {
    const queue = createEventQueue<number>({ capacity: 10 })
    const state = pusher(queue)
    let read = 0
    for await (const item of queue.items()) {
      expect(item).toBe(++read)
      await tick()
      expect(state.pushed - read).toBeLessThanOrEqual(20)
      if (read === 200) break
    }
    state.stop = true
  })

  test('a reader that leaves early frees them', async () => {
    const queue = createEventQueue<number>({ capacity: 3 })
    const state = pusher(queue)
    for await (const item of queue.items()) if (item === 5) break
    state.stop = true
    await tick()
    expect(state.ended).toBe(true)
    await queue.push(1)
  })

  test('released, nobody waits, and nothing is lost', async () => {
    const queue = createEventQueue<number>({ capacity: 2 })
    const first = [1, 2, 3].map((item) => queue.push(item))
    queue.release()
    await Promise.all(first)
    for (let item = 4; item <= 10; item++) await queue.push(item)
    queue.end()
    await queue.push(11)
    const read: number[] = []
    for await (const item of queue.items()) read.push(item)
    expect(read).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  })

  test('property: what was pushed before the end comes out, in order', () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.constantFrom('push', 'push', 'wait'), { maxLength: 60 }),
        async (capacity, steps) => {
          const queue = createEventQueue<number>({ capacity })
          let pushed = 0
          const writing = (async () => {
            for (const step of steps) {
              if (step === 'push') await queue.push(++pushed)
              else await tick()
            }
            queue.end()
          })()
          const read: number[] = []
          for await (const item of queue.items()) read.push(item)
          await writing
          expect(read).toEqual(Array.from({ length: pushed }, (_, index) => index + 1))
        },
      ),
      { numRuns: 60 },
    ))
})
