/** Bytes that wait to be sent, first in, first out. */

export interface ByteQueue {
  readonly bytes: number
  push(chunk: Uint8Array): void
  /** A copy of the next bytes: `count`, or all that there are. */
  take(count: number): Uint8Array
  clear(): void
}

export function createByteQueue(): ByteQueue {
  const chunks: Uint8Array[] = []
  let bytes = 0
  /** Taken of the first chunk. */
  let offset = 0

  return {
    get bytes() {
      return bytes
    },
    push(chunk) {
      if (chunk.length === 0) return
      chunks.push(chunk)
      bytes += chunk.length
    },
    take(count) {
      const taken = new Uint8Array(Math.min(count, bytes))
      for (let at = 0; at < taken.length; ) {
        const first = chunks[0] as Uint8Array
        const part = first.subarray(offset, offset + taken.length - at)
        taken.set(part, at)
        at += part.length
        offset += part.length
        if (offset < first.length) continue
        chunks.shift()
        offset = 0
      }
      bytes -= taken.length
      return taken
    },
    clear() {
      chunks.length = 0
      bytes = 0
      offset = 0
    },
  }
}
