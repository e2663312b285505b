/** Taking announces back: `stopped` (BEP 3, BEP 15), for our own at the end and for those of processes that died. */
import { setMaxListeners } from 'node:events'
import { type Clock, deadline, limits } from '@swarmatlas/core'
import type { AnnounceHistory, OpenAnnounce } from './announce-history.ts'
import type { Answer, AskOptions, TrackerTransport } from './answer.ts'
import type { TrackerJournal } from './journal.ts'
import { parseTrackerUrl, type TrackerUrl } from './tracker-url.ts'

export interface FarewellComponents {
  clock: Clock
  journal: TrackerJournal
  transportFor(tracker: TrackerUrl): TrackerTransport
}

type StopWait = Pick<AskOptions, 'signal' | 'timeoutMs' | 'retransmits'>

/** What other processes owe, and what failed to be taken back; `own` are the announces that this client still holds. */
export function debts(
  journal: TrackerJournal,
  history: AnnounceHistory,
  own: ReadonlyMap<string, unknown>,
): OpenAnnounce[] {
  const isOwed = (open: OpenAnnounce) => (open.attempts ?? 0) > 0 || journal.isGone(open.owner)
  return [...history.open()].filter((open) => !own.has(standingKey(open)) && isOwed(open))
}

/** Tells one announce that stands at a tracker from all others of its owner. */
export function standingKey({ swarm, address, url }: Pick<OpenAnnounce, 'swarm' | 'address' | 'url'>): string {
  return `${swarm} ${address} ${url}`
}

/** Sends `stopped` to each, `inFlight` at once; resolves with the number of trackers that were told. Rejects only when the journal fails. */
export async function sendStopped(
  components: FarewellComponents,
  announces: readonly OpenAnnounce[],
  { inFlight, eachMs, ...wait }: StopWait & { inFlight: number; eachMs: number },
): Promise<number> {
  setMaxListeners(0, wait.signal)
  const queue = announces.values()
  let told = 0
  const worker = async () => {
    for (const announce of queue) {
      if (wait.signal.aborted) return
      if (await sendOne(components, announce, wait, eachMs)) told++
    }
  }
  const workers = await Promise.allSettled(Array.from({ length: Math.min(inFlight, announces.length) }, worker))
  const failed = workers.find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  return told
}

async function sendOne(
  { clock, journal, transportFor }: FarewellComponents,
  announce: OpenAnnounce,
  wait: StopWait,
  eachMs: number,
): Promise<boolean> {
  const { url, swarm, address, owner, attempts = 0 } = announce
  const key = { atMs: clock.now(), url, swarm, address, owner }
  const tracker = parseTrackerUrl(url)
  // A tracker forgets who has not announced for some intervals.
  const isForgotten = clock.now() - announce.atMs > limits.trackerIntervalCeilingS * 1000
  if ('problem' in tracker || isForgotten) {
    await journal.append({ type: 'stopped', ...key })
    return false
  }
  const { reply } = (await journal.load()).pair(url, swarm)
  const limit = deadline(clock, eachMs, wait.signal)
  let answer: Answer<unknown> | undefined
  try {
    answer = await transportFor(tracker).announce(
      tracker,
      address,
      {
        swarm,
        peerId: Buffer.from(announce.peerId, 'hex'),
        port: announce.port,
        key: announce.key,
        left: announce.left,
        event: 'stopped',
        trackerId: reply?.trackerId,
      },
      { ...wait, signal: limit.signal, beforeSend: async () => {} },
    )
  } catch (error) {
    if (!limit.signal.aborted) throw error
  } finally {
    limit[Symbol.dispose]()
  }
  const told = answer !== undefined && (answer.ok || answer.answered)
  const isLast = attempts + 1 >= limits.trackerStopAttempts
  await journal.append(
    told || isLast ? { type: 'stopped', ...key } : { type: 'stop-failed', ...key, attempts: attempts + 1 },
  )
  return told
}
