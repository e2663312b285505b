/** The places in flight that all lookups share. Who is served chooses only then whom to ask, so that it asks the best. */

export interface QueryWindow {
  /** Calls `send` once for a place as soon as there is one, in turn with others; false gives the place back. */
  want(send: () => boolean): void
  /** A place is free again. */
  release(): void
}

export function createQueryWindow({ size }: { size: number }): QueryWindow {
  const waiting = new Set<() => boolean>()
  let free = size
  let serving = false

  function serve(): void {
    // Who is served may ask for the next place, or give one back, at once.
    if (serving) return
    serving = true
    while (free > 0 && waiting.size > 0) {
      const send = waiting.values().next().value as () => boolean
      waiting.delete(send)
      free--
      if (!send()) free++
    }
    serving = false
  }

  return {
    want(send) {
      waiting.add(send)
      serve()
    },
    release() {
      free++
      serve()
    },
  }
}
