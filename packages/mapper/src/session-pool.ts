/**
 * The session pool: so many wire sessions at once over all swarms, and no swarm before another. Every swarm has a queue
 * of its own; a free place goes to the next swarm in turn.
 */
export interface SessionPool {
  /** Runs `session` when a place is free and settles as it does. Sessions of one key run in the order they were added. */
  add(key: string, session: () => Promise<void>): Promise<void>
}

type Start = () => Promise<void>

export function createSessionPool({ places }: { places: number }): SessionPool {
  const queues = new Map<string, Queue>()
  let running = 0

  function next(): Start | undefined {
    for (const [key, queue] of queues) {
      const start = queue.take()
      // To the end of the turn; a Map keeps insertion order.
      queues.delete(key)
      if (queue.size > 0) queues.set(key, queue)
      if (start !== undefined) return start
    }
    return undefined
  }

  function fill(): void {
    while (running < places) {
      const start = next()
      if (start === undefined) return
      running++
      void start().finally(() => {
        running--
        fill()
      })
    }
  }

  return {
    add(key, session) {
      return new Promise((resolve, reject) => {
        const queue = queues.get(key) ?? new Queue()
        queues.set(key, queue)
        queue.put(() => session().then(resolve, reject))
        fill()
      })
    },
  }
}

/** First in, first out. Not an array that is shifted: with 100,000 peers in line that moves them all each time. */
class Queue {
  #arriving: Start[] = []
  #leaving: Start[] = []

  get size(): number {
    return this.#arriving.length + this.#leaving.length
  }

  put(start: Start): void {
    this.#arriving.push(start)
  }

  take(): Start | undefined {
    if (this.#leaving.length === 0) {
      this.#leaving = this.#arriving.reverse()
      this.#arriving = []
    }
    return this.#leaving.pop()
  }
}
