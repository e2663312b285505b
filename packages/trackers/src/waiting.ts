/** Waiting for what may not come. */
import { type Clock, deadline, limits, type Refusal, sleep } from '@swarmatlas/core'

/** What `promise` gives, or undefined after `ms`; rejects with the signal's reason when it aborts first. */
export async function within<T>(
  clock: Clock,
  ms: number,
  promise: Promise<T>,
  signal: AbortSignal,
): Promise<T | undefined> {
  const limit = deadline(clock, ms, signal)
  try {
    return await orAbort(promise, limit.signal)
  } catch (error) {
    signal.throwIfAborted()
    if (limit.signal.aborted) return undefined
    throw error
  } finally {
    limit[Symbol.dispose]()
  }
}

/** What `promise` gives; rejects with the signal's reason when it aborts first. */
export function orAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/** Repeats `attempt` while the address policy says that waiting helps, for limits.trackerAdmissionWaitMs in all. */
export async function whenAdmitted<T>(
  clock: Clock,
  signal: AbortSignal,
  attempt: () => Promise<T>,
  refusalOf: (result: T) => Refusal | undefined,
): Promise<T> {
  const untilMs = clock.monotonic() + limits.trackerAdmissionWaitMs
  for (;;) {
    const result = await attempt()
    const waitMs = refusalOf(result)?.retryAfterMs
    if (waitMs === undefined || clock.monotonic() + waitMs > untilMs) return result
    await sleep(clock, waitMs, signal)
  }
}
