/** At most `places` at once; the others wait in order. */
export interface Semaphore {
  /** Rejects with the signal's reason when it aborts before a place is free. */
  use<T>(task: () => Promise<T>, signal: AbortSignal): Promise<T>
}

export function createSemaphore({ places }: { places: number }): Semaphore {
  let free = places
  /** In order of arrival. */
  const waiting = new Set<() => void>()

  function place(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = () => {
        waiting.delete(enter)
        reject(signal.reason)
      }
      const enter = () => {
        waiting.delete(enter)
        signal.removeEventListener('abort', abort)
        resolve()
      }
      waiting.add(enter)
      signal.addEventListener('abort', abort, { once: true })
    })
  }

  return {
    async use(task, signal) {
      signal.throwIfAborted()
      if (free > 0) free--
      else await place(signal)
      try {
        return await task()
      } finally {
        const [next] = waiting
        if (next === undefined) free++
        else next()
      }
    },
  }
}
