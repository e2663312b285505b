/** Many sorted streams of batches brought together by peer: a k-way merge on a binary heap, a run of one peer at a time. */
import type { Batch } from './batches.ts'

interface Cursor {
  readonly batches: AsyncGenerator<Batch>
  batch: Batch
  at: number
  /** Where it stands. */
  peer: number
}

/** Takes facts or visits `from` up to, not including, `to`: all of one peer. */
export type Add<A> = (target: A, batch: Batch, from: number, to: number) => void

/** Accounts made at a time; each is complete when it comes out. */
const BATCH = 2_048

export async function* byPeer<A>(
  streams: readonly AsyncGenerator<Batch>[],
  begin: (peer: number) => A,
  add: Add<A>,
): AsyncGenerator<A[]> {
  try {
    const heap: Cursor[] = []
    for (const batches of streams) {
      const first = await batches.next()
      if (!first.done) heap.push({ batches, batch: first.value, at: 0, peer: first.value.peers[0] as number })
    }
    for (let i = heap.length >> 1; i-- > 0; ) sink(heap, i)
    let done: A[] = []
    let peer = -1
    let account: A | undefined
    for (let top = heap[0]; top !== undefined; top = heap[0]) {
      if (account === undefined || top.peer !== peer) {
        if (account !== undefined) done.push(account)
        if (done.length >= BATCH) {
          yield done
          done = []
        }
        peer = top.peer
        account = begin(peer)
      }
      const from = top.at
      const { peers, length } = top.batch
      while (top.at < length && peers[top.at] === peer) top.at++
      add(account, top.batch, from, top.at)
      if (top.at < length) {
        top.peer = peers[top.at] as number
      } else {
        const next = await top.batches.next()
        if (next.done) {
          const last = heap.pop() as Cursor
          if (heap.length === 0) break
          if (last !== top) heap[0] = last
        } else {
          top.batch = next.value
          top.at = 0
          top.peer = next.value.peers[0] as number
        }
      }
      sink(heap, 0)
    }
    if (account !== undefined) done.push(account)
    if (done.length > 0) yield done
  } finally {
    for (const batches of streams) await batches.return(undefined)
  }
}

/** Restores the heap below `at`. */
function sink(heap: Cursor[], at: number): void {
  for (;;) {
    let least = at
    for (const child of [2 * at + 1, 2 * at + 2]) {
      if (child < heap.length && (heap[child] as Cursor).peer < (heap[least] as Cursor).peer) least = child
    }
    if (least === at) return
    const moved = heap[at] as Cursor
    heap[at] = heap[least] as Cursor
    heap[least] = moved
    at = least
  }
}
