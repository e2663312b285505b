/** One query for its own sake (a ping, a step of joining): waits its turn, and for the answer. */
import { type Clock, limits, sleep } from '@swarmatlas/core'
import type { Answer, QueryOutcome, QuerySocket, Question, Unsent } from './query-socket.ts'

export type PatientOutcome = Exclude<QueryOutcome, { kind: 'silent' }> | Unsent

/** Resolves with the answer, or with what came instead of it; never rejects. */
export async function askPatiently(
  { socket, clock }: { socket: QuerySocket; clock: Clock },
  question: Question,
  signal: AbortSignal,
): Promise<PatientOutcome> {
  const givenUpMs = clock.monotonic() + limits.dhtHeldQueryMs
  for (;;) {
    if (signal.aborted) return { kind: 'cancelled' }
    let unsent: Unsent | undefined
    const outcome = await new Promise<PatientOutcome | undefined>((resolve) => {
      const result = socket.ask(question, (outcome) => {
        const isFinal = outcome.kind !== 'silent' && !(outcome.kind === 'answer' && outcome.otherPort)
        if (isFinal) resolve(outcome)
      })
      if (result.kind === 'unsent') {
        unsent = result
        resolve(undefined)
      }
    })
    if (outcome !== undefined) return outcome
    const { waitMs } = unsent as Unsent
    if (waitMs === undefined || clock.monotonic() + waitMs > givenUpMs) return unsent as Unsent
    try {
      await sleep(clock, waitMs, signal)
    } catch {
      return { kind: 'cancelled' }
    }
  }
}

/** The node is who it was said to be, where it was said to be. */
export function isSound(outcome: PatientOutcome): outcome is Answer {
  return outcome.kind === 'answer' && !outcome.otherId
}
