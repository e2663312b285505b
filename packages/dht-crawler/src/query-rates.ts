/** How many queries one address and one network (/24, /48) get in a window of time, whatever the lookups want. */
import { type Clock, limits, prefixOf } from '@swarmatlas/core'

export interface QueryRates {
  /** Milliseconds until a query to the address is in order; 0 for now. */
  waitMs(address: string): number
  count(address: string): void
}

export function createQueryRates({ clock }: { clock: Pick<Clock, 'monotonic'> }): QueryRates {
  let sent = new Map<string, number>()
  let startedMs = clock.monotonic()
  return {
    waitMs(address) {
      const now = clock.monotonic()
      if (now - startedMs >= limits.dhtRateWindowMs) {
        sent = new Map()
        startedMs = now
      }
      const full =
        (sent.get(address) ?? 0) >= limits.dhtQueriesPerAddress ||
        (sent.get(prefixOf(address)) ?? 0) >= limits.dhtQueriesPerPrefix
      return full ? startedMs + limits.dhtRateWindowMs - now : 0
    },
    count(address) {
      for (const key of [address, prefixOf(address)]) sent.set(key, (sent.get(key) ?? 0) + 1)
    },
  }
}

/** In a lab all nodes share few networks. */
export const unlimitedRates: QueryRates = { waitMs: () => 0, count() {} }
