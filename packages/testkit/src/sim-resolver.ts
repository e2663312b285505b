/** Names on the simulated network: a table. */
import { type Clock, canonicalAddress, type Resolver, sleep } from '@swarmatlas/core'
import { systemError } from './sim-link.ts'

export function simResolver(
  { clock, names }: { clock: Clock; names: ReadonlyMap<string, readonly string[]> },
  { delayMs }: { delayMs: number },
): Resolver {
  return {
    async resolve(host, { signal }) {
      const literal = canonicalAddress(host.replace(/^\[|\]$/g, ''))
      if (literal !== undefined) return [literal]
      await sleep(clock, delayMs, signal)
      const addresses = names.get(host) ?? []
      if (addresses.length === 0) throw systemError('ENOTFOUND', host)
      return [...addresses]
    },
  }
}
