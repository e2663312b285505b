/** `swarmatlas prune`: drops addresses that are kept long enough, and rounds or swarms that are named. */
import { limits } from '@swarmatlas/core'
import { exitCodes } from '../exit-codes.ts'
import { print, printJson } from '../output.ts'
import { bytes, count } from '../quantities.ts'
import { openStore } from '../store.ts'
import { checkStoreFilter, parseStoreFilter } from '../store-filter.ts'

export interface PruneOptions {
  store: string
  /** Ages in milliseconds. */
  addresses?: number
  olderThan?: number
  swarm?: string
  json?: boolean
}

export async function prune(options: PruneOptions): Promise<number> {
  const { olderThan, addresses = limits.addressRetentionMs } = options
  const { swarm } = parseStoreFilter({
    store: options.store,
    ...(options.swarm === undefined ? {} : { swarm: options.swarm }),
  })
  await using store = await openStore(options.store, 'prune')
  await checkStoreFilter(store, { swarm, round: undefined })
  const expired = await store.expire({ olderThanMs: addresses })
  const pruned =
    olderThan === undefined && swarm === undefined
      ? { rounds: [], freedBytes: 0 }
      : await store.prune({ olderThanMs: olderThan, swarm })
  if (options.json) await printJson({ expired, pruned })
  else {
    const rounds = `${count(pruned.rounds.length, 'round')} pruned, ${bytes(pruned.freedBytes)} given back`
    await print(
      `${count(expired.addresses, 'address', 'addresses')} of ${count(expired.weeks.length, 'week')} dropped\n${pruned.rounds.length === 0 ? 'no round pruned' : rounds}\n`,
    )
  }
  return exitCodes.done
}
