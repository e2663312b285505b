import { setImmediate as immediate } from 'node:timers/promises'
import type { Clock } from '@swarmatlas/core'

/** Lets streams and microtasks run dry. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 12; i++) await immediate()
}

export type ManualClock = Clock & { advance(ms: number): Promise<void>; readonly pending: number }

/** Time stands still until `advance`. */
export function manualClock(): ManualClock {
  let nowMs = 0
  const timers = new Set<{ atMs: number; fire: () => void }>()
  return {
    now: () => 1_700_000_000_000 + nowMs,
    monotonic: () => nowMs,
    timer(ms, fire) {
      const timer = { atMs: nowMs + ms, fire }
      timers.add(timer)
      return { cancel: () => void timers.delete(timer) }
    },
    get pending() {
      return timers.size
    },
    async advance(ms) {
      const endMs = nowMs + ms
      await settle()
      for (;;) {
        const next = [...timers].sort((a, b) => a.atMs - b.atMs)[0]
        if (next === undefined || next.atMs > endMs) break
        nowMs = next.atMs
        timers.delete(next)
        next.fire()
        await settle()
      }
      nowMs = endMs
    },
  }
}
