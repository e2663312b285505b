/** A rate limit per minute, as a token bucket. */
import type { Clock } from './seams.ts'

const MINUTE_MS = 60_000

/**
 * Holds at most a sixth of the minute's tokens, a burst that a router survives, and refills by the rest: no 60 seconds
 * see more than `perMinute` taken. Infinity means no limit.
 */
export class TokenBucket {
  readonly #perMs: number
  readonly #burst: number
  readonly #clock: Pick<Clock, 'monotonic'>
  #tokens: number
  #atMs: number

  constructor(clock: Pick<Clock, 'monotonic'>, perMinute: number) {
    this.#clock = clock
    this.#burst = Math.max(1, perMinute / 6)
    // Below two a minute the burst alone is the limit; half the rate then keeps it.
    this.#perMs = Math.max(perMinute - this.#burst, perMinute / 2) / MINUTE_MS
    this.#tokens = this.#burst
    this.#atMs = clock.monotonic()
  }

  /** 0 when a token was taken, else the milliseconds until there is one. */
  take(): number {
    if (this.#burst === Number.POSITIVE_INFINITY) return 0
    const now = this.#clock.monotonic()
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#atMs) * this.#perMs)
    this.#atMs = now
    if (this.#tokens >= 1) {
      this.#tokens--
      return 0
    }
    return Math.ceil((1 - this.#tokens) / this.#perMs)
  }
}
