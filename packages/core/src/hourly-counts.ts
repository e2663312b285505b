/** Distinct members of groups over the last hour, in bounded memory. */
import { limits } from './limits.ts'
import type { Clock } from './seams.ts'

const HOUR_MS = 3_600_000

interface Generation {
  readonly members: Set<string>
  /** Members by group. */
  readonly groups: Map<string, number>
}

/**
 * Two generations, of which a member is in one at most: it is forgotten between one and two hours after it was last
 * added or asked for, and sooner only when a generation is full.
 */
export class HourlyCounts {
  #current: Generation = emptyGeneration()
  #previous: Generation = emptyGeneration()
  #startedMs: number
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #groupsOf: (member: string) => readonly string[]

  /** `groupsOf` names the groups that a member counts in; it must always give the same for the same member. */
  constructor(clock: Pick<Clock, 'monotonic'>, groupsOf: (member: string) => readonly string[]) {
    this.#clock = clock
    this.#groupsOf = groupsOf
    this.#startedMs = clock.monotonic()
  }

  /** Whether the member was added within the hour; asking keeps it. */
  touch(member: string): boolean {
    this.#rotate()
    if (this.#current.members.has(member)) return true
    if (!this.#previous.members.delete(member)) return false
    this.#insert(member, -1)
    return true
  }

  add(member: string): void {
    if (!this.touch(member)) this.#insert(member, 0)
  }

  /** Distinct members of a group. */
  size(group: string): number {
    this.#rotate()
    return (this.#current.groups.get(group) ?? 0) + (this.#previous.groups.get(group) ?? 0)
  }

  #insert(member: string, previousBy: 0 | -1): void {
    this.#current.members.add(member)
    for (const group of this.#groupsOf(member)) {
      increase(this.#current.groups, group, 1)
      increase(this.#previous.groups, group, previousBy)
    }
  }

  #rotate(): void {
    const age = this.#clock.monotonic() - this.#startedMs
    if (age < HOUR_MS && this.#current.members.size < limits.policyHistory) return
    // After two hours without a call even the youngest member is over an hour old.
    this.#previous = age < 2 * HOUR_MS ? this.#current : emptyGeneration()
    this.#current = emptyGeneration()
    this.#startedMs += age
  }
}

function emptyGeneration(): Generation {
  return { members: new Set(), groups: new Map() }
}

function increase(counts: Map<string, number>, key: string, by: number): void {
  const sum = (counts.get(key) ?? 0) + by
  if (sum > 0) counts.set(key, sum)
  else counts.delete(key)
}
