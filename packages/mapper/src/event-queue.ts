/** A bounded queue between the collectors, which push, and the one who reads the events of a round. */
export interface EventQueue<T> {
  /** Resolves at once while there is room; else when the reader has caught up: so a slow reader slows the collectors. */
  push(item: T): Promise<void>
  /** From now on nobody waits for room: the collectors are told to stop, and what is still under way is little. */
  release(): void
  /** Ends the stream after what is queued. Pushes after it are dropped. */
  end(): void
  items(): AsyncGenerator<T, void>
}

export function createEventQueue<T>({ capacity }: { capacity: number }): EventQueue<T> {
  let queue: T[] = []
  let ended = false
  let released = false
  let wakeReader: (() => void) | undefined
  let room = createLatch()

  return {
    async push(item) {
      if (ended) return
      queue.push(item)
      wakeReader?.()
      if (queue.length >= capacity && !released) await room.promise
    },
    release() {
      released = true
      room.resolve()
    },
    end() {
      ended = true
      wakeReader?.()
      room.resolve()
    },
    async *items() {
      try {
        while (!ended || queue.length > 0) {
          if (queue.length === 0) {
            await new Promise<void>((resolve) => {
              wakeReader = resolve
            })
            wakeReader = undefined
            continue
          }
          const batch = queue
          queue = []
          room.resolve()
          room = createLatch()
          yield* batch
        }
      } finally {
        // A reader that leaves early must not leave the collectors waiting.
        ended = true
        room.resolve()
      }
    },
  }
}

/** Node 20 has no Promise.withResolvers. */
function createLatch(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
