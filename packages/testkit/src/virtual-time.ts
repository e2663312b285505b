/**
 * Virtual time: global timers, Date, performance and Math.random are replaced, and time leaps to the next timer
 * whenever the process has nothing else to do. Production objects and third-party packages then live through hours in
 * milliseconds, and the same seed gives the same history. nextTick, setImmediate and microtasks stay real: streams
 * are built on them.
 *
 * Files and LevelDB are waited for. Other work in threads (asynchronous zlib, other native add-ons) is not: time may leap
 * while it runs. Keep real sockets out.
 */
import { createHook } from 'node:async_hooks'
import { install } from '@sinonjs/fake-timers'
import type { Clock, Random } from '@swarmatlas/core'
import { nodeClock } from '@swarmatlas/core/node'
import { seededRandom } from './seeded-random.ts'

export interface VirtualTime {
  /** The clock seam; it reads the replaced globals, as nodeClock does. */
  readonly clock: Clock
  readonly random: Random
  /** Virtual milliseconds since the start. */
  elapsedMs(): number
}

export interface VirtualTimeOptions {
  seed: string | number
  /** Wall time at the start, Unix milliseconds. */
  startMs?: number
  /** The body must end within this many virtual milliseconds. */
  limitMs?: number
}

const START_MS = Date.UTC(2026, 0, 1)
const DAY_MS = 86_400_000
/** Work of native add-ons, by the names that they give it; Node does not count it as active. */
const NATIVE_WORK = /^classic_level\./
/** Real milliseconds in which something unseen may still stir before a deadlock is declared. */
const GRACE_MS = 100

/**
 * Runs `body` in virtual time. Rejects when the body waits for something that no timer will bring about, and when the
 * limit passes. One at a time: the globals are shared.
 */
export async function withVirtualTime<T>(
  { seed, startMs = START_MS, limitMs = DAY_MS }: VirtualTimeOptions,
  body: (time: VirtualTime) => Promise<T>,
): Promise<T> {
  const realTimeout = setTimeout
  const random = seededRandom(seed)
  const mathRandom = Math.random
  const fake = install({
    now: startMs,
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'hrtime', 'performance'],
  })
  Math.random = random.float
  const native = watchNativeWork()
  try {
    const elapsedMs = () => fake.now - startMs
    let settled = false
    const result = body({ clock: nodeClock, random, elapsedMs }).finally(() => {
      settled = true
    })
    // Awaited below; until then a rejection must not count as unhandled.
    result.catch(() => {})
    for (;;) {
      await idle(native)
      if (settled) return await result
      if (fake.countTimers() === 0) {
        await new Promise((wake) => realTimeout(wake, GRACE_MS))
        if (settled || fake.countTimers() > 0) continue
        throw new Error(`deadlock after ${elapsedMs()} virtual ms: the body waits, but no timer is pending`)
      }
      fake.next()
      if (elapsedMs() > limitMs) throw new Error(`not done after ${limitMs} virtual ms`)
    }
  } finally {
    native[Symbol.dispose]()
    fake.uninstall()
    Math.random = mathRandom
  }
}

/** Resolves when microtasks, ticks, immediates, and work in threads that can be seen are done. */
async function idle(native: NativeWork): Promise<void> {
  do {
    await new Promise((next) => setImmediate(next))
  } while (native.count() > 0 || process.getActiveResourcesInfo().some(isWork))
}

function isWork(resource: string): boolean {
  return resource === 'Immediate' || resource.includes('Req')
}

interface NativeWork extends Disposable {
  /** Pieces of work not yet done. */
  count(): number
}

function watchNativeWork(): NativeWork {
  const running = new Set<number>()
  const hook = createHook({
    init(id, kind) {
      if (NATIVE_WORK.test(kind)) running.add(id)
    },
    destroy(id) {
      running.delete(id)
    },
  }).enable()
  return { count: () => running.size, [Symbol.dispose]: () => void hook.disable() }
}
