/**
 * The session pool: so many wire sessions at once over all swarms, and no swarm before another. Every swarm has a queue
 * of its own; a free place goes to the next swarm in turn.
 */
export interface SessionPool {
  /** Runs `session` when a place is free. Sessions of one key run in the order they were added. */
  add(key: string, session: () => Promise<void>): void
}

export function createSessionPool({ places }: { places: number }): SessionPool {
  const queues = new Map<string, (() => Promise<void>)[]>()
  let running = 0

  function next(): (() => Promise<void>) | undefined {
    for (const [key, queue] of queues) {
      const session = queue.shift()
      // To the end of the turn; a Map keeps insertion order.
      queues.delete(key)
      if (queue.length > 0) queues.set(key, queue)
      if (session !== undefined) return session
    }
    return undefined
  }

  function fill(): void {
    while (running < places) {
      const session = next()
      if (session === undefined) return
      running++
      session().finally(() => {
        running--
        fill()
      })
    }
  }

  return {
    add(key, session) {
      const queue = queues.get(key)
      if (queue === undefined) queues.set(key, [session])
      else queue.push(session)
      fill()
    },
  }
}
