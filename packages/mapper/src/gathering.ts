/** A count of work under way that can be waited for: a round of one torrent is over when its last task is. */
export interface Gathering {
  /** Runs a task; what it throws goes to `onError`. */
  start(task: () => Promise<void>): void
  /** Resolves when no task is left; tasks may start others. */
  done(): Promise<void>
}

export function createGathering({ onError }: { onError(error: unknown): void }): Gathering {
  let open = 0
  let waiters: (() => void)[] = []
  const finished = () => {
    open--
    if (open > 0) return
    const ready = waiters
    waiters = []
    for (const wake of ready) wake()
  }
  return {
    start(task) {
      open++
      task().catch(onError).finally(finished)
    },
    done() {
      return open === 0 ? Promise.resolve() : new Promise((resolve) => waiters.push(resolve))
    },
  }
}
