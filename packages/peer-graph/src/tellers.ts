/** Who the numbers that facts hold stand for. */
import type { Teller } from '@swarmatlas/core'
import type { Facts } from './facts.ts'
import { type Identity, identitiesOf } from './identities.ts'
import type { LevelStore } from './level-store.ts'
import type { AddressEntry, TellerRef } from './schema.ts'
import type { Scope } from './scope.ts'

/** What the numbers of some facts stand for. Addresses that have expired are missing; pseudonyms and places stay. */
export interface Names {
  readonly addresses: ReadonlyMap<number, AddressEntry>
  readonly trackers: ReadonlyMap<number, string>
  readonly identities: ReadonlyMap<number, Identity>
}

/** `weeks`: where to look for places and pseudonyms, see weeksOf. */
export async function namesOf(
  facts: Facts,
  weeks: readonly LevelStore[],
  peers: Iterable<number>,
  tellers: Iterable<TellerRef> = [],
): Promise<Names> {
  const numbers = new Set(peers)
  const trackers = new Map<number, string>()
  for (const { kind, number } of tellers) {
    if (kind === 'peer' || kind === 'dht-node') numbers.add(number)
    if (kind === 'tracker' && !trackers.has(number)) trackers.set(number, (await facts.trackers.text(number)) ?? '')
  }
  const [addresses, identities] = await Promise.all([
    facts.book.entriesOf(numbers),
    identitiesOf(facts, weeks, numbers),
  ])
  return { addresses, trackers, identities }
}

/** The sealed weeks of a scope, the latest first. */
export function weeksOf(scope: readonly Scope[]): LevelStore[] {
  const weeks = new Set<LevelStore>()
  for (const part of scope) if ('sealed' in part) weeks.add(part.sealed.week)
  return [...weeks].sort((a, b) => (a.dir < b.dir ? 1 : -1))
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

export function pseudonymOf(number: number, { addresses, identities }: Names): string | null {
  return addresses.get(number)?.pseudonym ?? identities.get(number)?.pseudonym ?? null
}
