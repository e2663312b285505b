/** Tellers, from the numbers that facts hold. */
import type { Teller } from '@swarmatlas/core'
import type { AddressEntry, TellerRef } from './schema.ts'
import type { View } from './scope.ts'

/** What the numbers of some rows stand for. Addresses that have expired are missing. */
export interface Names {
  readonly addresses: ReadonlyMap<number, AddressEntry>
  readonly trackers: ReadonlyMap<number, string>
}

export async function namesOf(view: View, peers: Iterable<number>, tellers: Iterable<TellerRef>): Promise<Names> {
  const numbers = new Set(peers)
  const trackers = new Map<number, string>()
  for (const { kind, number } of tellers) {
    if (kind === 'peer' || kind === 'dht-node') numbers.add(number)
    if (kind === 'tracker' && !trackers.has(number)) trackers.set(number, (await view.trackers.text(number)) ?? '')
  }
  return { addresses: await view.book.entriesOf(numbers), trackers }
}

/** Undefined when its address has expired. */
export function tellerOf({ kind, number }: TellerRef, { addresses, trackers }: Names): Teller | undefined {
  if (kind === 'self') return { kind }
  if (kind === 'tracker') return { kind, url: trackers.get(number) ?? '' }
  const entry = addresses.get(number)
  if (entry === undefined) return undefined
  const { endpoint, nodeId = '' } = entry
  return kind === 'peer' ? { kind, endpoint } : { kind, id: nodeId, endpoint }
}
