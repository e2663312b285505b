/** Reads a stream to its end and gives what it returns; closes it when `take` throws. (`for await` loses what it returns.) */
export async function readAll<T, R>(stream: AsyncGenerator<T, R>, take: (item: T) => Promise<void>): Promise<R> {
  try {
    for (;;) {
      const step = await stream.next()
      if (step.done) return step.value
      await take(step.value)
    }
  } finally {
    await stream.return(undefined as never)
  }
}
