/** What was opened and must be closed, also when the opening of the rest fails half-way. */
import type { TcpStream } from '@swarmatlas/core'

export interface Closers {
  /** After `close` began, what is added is closed at once. */
  add(close: () => Promise<void>): void
  /** Closes all. Idempotent: later calls wait for the first. */
  close(): Promise<void>
}

export function createClosers(): Closers {
  const pending: (() => Promise<void>)[] = []
  let closing: Promise<unknown> | undefined
  return {
    add(close) {
      if (closing === undefined) pending.push(close)
      else closing = Promise.all([closing, close()])
    },
    async close() {
      closing ??= Promise.all(pending.map((close) => close()))
      await closing
    },
  }
}

/** Ends the streams, and resolves when they have said so to those that listen. */
export async function destroyAll(streams: Iterable<TcpStream>): Promise<void> {
  const ends = [...streams].map((stream) => {
    const closed = new Promise((resolve) => stream.once('close', resolve))
    stream.destroy()
    return closed
  })
  await Promise.all(ends)
}
