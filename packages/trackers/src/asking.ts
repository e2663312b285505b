/** Which addresses of a tracker are asked: one for each family (BEP 7), the next where one cannot be reached. */
import { type Clock, deadline, familyOf, type Gate, limits, messageOf, outcomeOf } from '@swarmatlas/core'
import { type Answer, success, unanswered } from './answer.ts'
import type { TrackerUrl } from './tracker-url.ts'
import { within } from './waiting.ts'

export interface AskingComponents {
  gate: Gate
  clock: Clock
}

/** The tracker's addresses of the families that may leave; at least one. */
export async function resolveTracker(
  { gate, clock }: AskingComponents,
  { host }: TrackerUrl,
  signal: AbortSignal,
): Promise<Answer<string[]>> {
  try {
    const found = await within(clock, limits.trackerHttpTimeoutMs, gate.resolver.resolve(host, { signal }), signal)
    if (found === undefined) return unanswered('timeout', `${host} could not be resolved in time`)
    const usable = found.filter((address) => gate.families.includes(familyOf(address)))
    return usable.length > 0 ? success(usable) : unanswered('unreachable', `${host} has no address of a family in use`)
  } catch (error) {
    signal.throwIfAborted()
    return unanswered(outcomeOf(error), messageOf(error))
  }
}

/**
 * Asks the addresses one after another until one is reached: it answered, or `isReached` says so. Only the last gets
 * all its retransmits.
 */
export async function askInTurn<T>(
  addresses: readonly string[],
  ask: (address: string, retransmits: number) => Promise<Answer<T>>,
  isReached: (address: string) => boolean = () => false,
): Promise<Answer<T>> {
  const candidates = addresses.slice(0, limits.trackerAddressesPerFamily)
  let answer: Answer<T> = unanswered('unreachable', 'no address')
  for (const [i, address] of candidates.entries()) {
    const isLast = i === candidates.length - 1
    answer = await ask(address, isLast ? limits.trackerUdpRetransmits : limits.trackerUdpRetransmitsBeforeNext)
    if (answer.ok || answer.answered || isReached(address)) break
  }
  return answer
}

/** Asks each family at once. When one has answered, the other is given limits.trackerSecondFamilyMs more. */
export async function askEachFamily<T>(
  clock: Clock,
  addresses: readonly string[],
  signal: AbortSignal,
  ask: (addresses: readonly string[], ending: AbortSignal) => Promise<Answer<T>>,
): Promise<Answer<T>[]> {
  const ending = deadline(clock, undefined, signal)
  let grace: { cancel(): void } | undefined
  const askFamily = async (candidates: readonly string[]) => {
    const answer = await ask(candidates, ending.signal)
    if (answer.ok) grace ??= clock.timer(limits.trackerSecondFamilyMs, () => ending.abort())
    return answer
  }
  try {
    const families = [4, 6].map((family) => addresses.filter((address) => familyOf(address) === family))
    const settled = await Promise.allSettled(families.filter(({ length }) => length > 0).map(askFamily))
    signal.throwIfAborted()
    return settled.map((result) => {
      if (result.status === 'fulfilled') return result.value
      if (!ending.signal.aborted) throw result.reason
      return unanswered('timeout', 'no answer yet when the other family had answered')
    })
  } finally {
    grace?.cancel()
    ending[Symbol.dispose]()
  }
}
