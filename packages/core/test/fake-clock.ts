import type { Clock, Timer } from '../src/index.ts'

/** A clock that stands still until it is told to move. */
export class FakeClock implements Clock {
  #nowMs = 0
  readonly #timers = new Map<object, { dueMs: number; fire: () => void }>()

  now(): number {
    return this.#nowMs
  }

  monotonic(): number {
    return this.#nowMs
  }

  get pending(): number {
    return this.#timers.size
  }

  timer(ms: number, fire: () => void): Timer {
    const id = {}
    this.#timers.set(id, { dueMs: this.#nowMs + ms, fire })
    return { cancel: () => this.#timers.delete(id) }
  }

  advance(ms: number): void {
    this.#nowMs += ms
    for (const [id, { dueMs, fire }] of [...this.#timers]) {
      if (dueMs > this.#nowMs || !this.#timers.delete(id)) continue
      fire()
    }
  }
}
