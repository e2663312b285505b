/**
 * The rows of many ranges as one sorted stream (k-way merge on a binary heap): the rounds and wire hashes of a torrent,
 * brought together by peer.
 */
import { limits } from '@swarmatlas/core'
import type { LevelStore, Row, Snapshot } from './level-store.ts'
import { type KeyRange, peerOffset } from './schema.ts'

interface Cursor {
  readonly batches: AsyncGenerator<Row[]>
  rows: Row[]
  at: number
}

/** Batches of rows of `ranges`, ordered by what follows the round and the wire number in their keys. */
export async function* mergedRows(
  store: LevelStore,
  ranges: readonly KeyRange[],
  snapshot: Snapshot,
): AsyncGenerator<Row[]> {
  const batch = Math.max(limits.storeRangeRows, Math.floor(limits.storeReadRows / Math.max(ranges.length, 1)))
  const heap: Cursor[] = []
  const cursors = ranges.map((range): Cursor => ({ batches: store.rows(range, { snapshot, batch }), rows: [], at: 0 }))
  try {
    for (const cursor of cursors) if (await refill(cursor)) heap.push(cursor)
    for (let i = heap.length >> 1; i-- > 0; ) sink(heap, i)
    let merged: Row[] = []
    while (heap[0] !== undefined) {
      const top = heap[0]
      merged.push(top.rows[top.at++] as Row)
      if (top.at >= top.rows.length && !(await refill(top))) {
        const last = heap.pop() as Cursor
        if (heap.length === 0) break
        heap[0] = last === top ? (heap[0] as Cursor) : last
      }
      sink(heap, 0)
      if (merged.length >= limits.storeReadRows) {
        yield merged
        merged = []
      }
    }
    if (merged.length > 0) yield merged
  } finally {
    for (const { batches } of cursors) await batches.return(undefined)
  }
}

async function refill(cursor: Cursor): Promise<boolean> {
  const next = await cursor.batches.next()
  cursor.rows = next.done ? [] : next.value
  cursor.at = 0
  return cursor.rows.length > 0
}

/** Restores the heap below `at`. */
function sink(heap: Cursor[], at: number): void {
  for (;;) {
    let least = at
    for (const child of [2 * at + 1, 2 * at + 2]) {
      if (child < heap.length && precedes(heap[child] as Cursor, heap[least] as Cursor)) least = child
    }
    if (least === at) return
    const moved = heap[at] as Cursor
    heap[at] = heap[least] as Cursor
    heap[least] = moved
    at = least
  }
}

function precedes(a: Cursor, b: Cursor): boolean {
  const left = (a.rows[a.at] as Row)[0]
  const right = (b.rows[b.at] as Row)[0]
  return left.compare(right, peerOffset, right.length, peerOffset, left.length) < 0
}
