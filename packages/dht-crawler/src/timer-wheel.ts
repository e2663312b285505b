/** A wheel of timers (Varghese and Lauck 1987) on one timer of the clock: queries are too many for one each. */
import { type Clock, limits, type Timer } from '@swarmatlas/core'

export interface TimerWheel<Item> {
  /**
   * `item` comes up after `ms`, late by at most two ticks, early when that is longer than the wheel holds. There is no way
   * back: who comes up is asked whether it still matters.
   */
  add(item: Item, ms: number): void
  close(): void
}

/** Longest time that the wheel holds, ms. */
const SLOTS = 512

export function createTimerWheel<Item>(
  { clock }: { clock: Clock },
  { due, tickMs = limits.dhtWheelTickMs }: { due(item: Item): void; tickMs?: number },
): TimerWheel<Item> {
  const slots: Item[][] = Array.from({ length: SLOTS }, () => [])
  let held = 0
  let tick = 0
  const startedMs = clock.monotonic()
  let timer: Timer | undefined

  function turn(): void {
    timer = undefined
    // A busy process may miss many ticks; all items come up within one turn of the wheel.
    const reached = Math.min(Math.floor((clock.monotonic() - startedMs) / tickMs), tick + SLOTS)
    while (tick < reached) {
      const index = ++tick % SLOTS
      const items = slots[index] as Item[]
      if (items.length === 0) continue
      slots[index] = []
      held -= items.length
      for (const item of items) due(item)
    }
    arm()
  }

  function arm(): void {
    if (held === 0) return
    const nextMs = startedMs + (tick + 1) * tickMs - clock.monotonic()
    timer ??= clock.timer(Math.max(nextMs, 0), turn, { keepAlive: false })
  }

  return {
    add(item, ms) {
      const now = Math.floor((clock.monotonic() - startedMs) / tickMs)
      if (held === 0) tick = now
      // A wheel that lags holds less: what does not fit comes up early.
      const at = Math.min(now + Math.ceil(ms / tickMs) + 1, tick + SLOTS - 1)
      ;(slots[at % SLOTS] as Item[]).push(item)
      held++
      arm()
    },
    close() {
      timer?.cancel()
      for (const slot of slots) slot.length = 0
      held = 0
    },
  }
}
