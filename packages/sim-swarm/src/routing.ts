/** XOR distance and constructed routing tables (Maymounkov and Mazières, "Kademlia", 2002; BEP 5). */
import type { Endpoint } from '@swarmatlas/core'
import { bounds } from './bounds.ts'
import type { Prng } from './prng.ts'

export interface Contact {
  /** 20 bytes. */
  readonly id: Uint8Array
  readonly endpoint: Endpoint
}

/** Below 0 when `a` is nearer to `target` than `b`. */
function compareDistance(target: Uint8Array, a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < 20; i++) {
    const wanted = target[i] as number
    const difference = ((a[i] as number) ^ wanted) - ((b[i] as number) ^ wanted)
    if (difference !== 0) return difference
  }
  return 0
}

/** The `count` contacts nearest to `target`, nearest first. */
export function closest(target: Uint8Array, contacts: Iterable<Contact>, count: number): Contact[] {
  const nearest: Contact[] = []
  for (const contact of contacts) {
    const nearer = (other: Contact) => compareDistance(target, contact.id, other.id) < 0
    if (nearest.length === count && !nearer(nearest[count - 1] as Contact)) continue
    let at = nearest.length
    while (at > 0 && nearer(nearest[at - 1] as Contact)) at--
    nearest.splice(at, 0, contact)
    if (nearest.length > count) nearest.pop()
  }
  return nearest
}

/** All contacts in the order of their ids, as tableOf wants them. */
export function sortedById(contacts: Iterable<Contact>): Contact[] {
  return [...contacts].sort((a, b) => Buffer.compare(a.id, b.id))
}

/**
 * What a node that lived long would know: for each length of prefix shared with its own id, up to a bucket of the
 * nodes there, drawn at random. The buckets near its own id hold all there are, so that lookups converge.
 */
export function tableOf(own: Contact, sorted: readonly Contact[], prng: Prng): Contact[] {
  const table: Contact[] = []
  let low = 0
  let high = sorted.length
  for (let bit = 0; bit < 160 && high - low > 1; bit++) {
    const split = firstWithBit(sorted, bit, low, high)
    if (hasBit(own.id, bit)) {
      table.push(...drawBetween(sorted, low, split, prng))
      low = split
    } else {
      table.push(...drawBetween(sorted, split, high, prng))
      high = split
    }
  }
  return table
}

/** A bucket of those in [low, high). Never copies the range: the first bucket draws on half of the DHT. */
function drawBetween(sorted: readonly Contact[], low: number, high: number, prng: Prng): Contact[] {
  if (high - low <= bounds.dhtBucketNodes) return sorted.slice(low, high)
  const drawn = new Set<Contact>()
  while (drawn.size < bounds.dhtBucketNodes) drawn.add(sorted[low + prng.below(high - low)] as Contact)
  return [...drawn]
}

/** Ids in [low, high) agree in all bits before `bit`: those without it come first. */
function firstWithBit(sorted: readonly Contact[], bit: number, low: number, high: number): number {
  while (low < high) {
    const middle = (low + high) >> 1
    if (hasBit((sorted[middle] as Contact).id, bit)) high = middle
    else low = middle + 1
  }
  return low
}

function hasBit(id: Uint8Array, bit: number): boolean {
  return (((id[bit >> 3] as number) >> (7 - (bit & 7))) & 1) === 1
}
