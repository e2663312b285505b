/** Waiting, on the clock seam. */
import { setMaxListeners } from 'node:events'
import type { Clock } from './seams.ts'

type TimerClock = Pick<Clock, 'timer'>

/** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
export function sleep(clock: TimerClock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const abort = () => {
      timer.cancel()
      reject(signal?.reason)
    }
    const timer = clock.timer(ms, () => {
      signal?.removeEventListener('abort', abort)
      resolve()
    })
    signal?.addEventListener('abort', abort, { once: true })
  })
}

/** What `promise` gives; rejects with the signal's reason when it aborts first. The promise itself goes on. */
export function orAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

export interface Deadline extends Disposable {
  /** Aborts after the time given, with the parent signal, or when told to. */
  readonly signal: AbortSignal
  abort(reason?: unknown): void
}

/**
 * A signal of its own that follows `parent` and a time limit. Dispose it: that drops the timer and the listener, which
 * on a parent that lives for months would otherwise pile up.
 */
export function deadline(clock: TimerClock, ms: number | undefined, parent?: AbortSignal): Deadline {
  const controller = new AbortController()
  // Hundreds of sessions and queries may wait on one deadline; each takes its listener away again.
  setMaxListeners(0, controller.signal)
  const follow = () => controller.abort(parent?.reason)
  if (parent?.aborted) follow()
  else parent?.addEventListener('abort', follow, { once: true })
  const timer =
    ms === undefined ? undefined : clock.timer(ms, () => controller.abort(new DeadlineError(`over after ${ms} ms`)))
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    [Symbol.dispose]() {
      timer?.cancel()
      parent?.removeEventListener('abort', follow)
    },
  }
}

/** The reason of a signal whose time ran out. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError'
}
