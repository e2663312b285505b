/** One announce: may the tracker be asked, the asking, and what is written down of it before and after. */
import { type Clock, type Gate, type InfoHash, limits, type Meter, SwarmatlasError } from '@swarmatlas/core'
import type { OpenAnnounce, PairHistory } from './announce-history.ts'
import { type AnnounceReply, type Answer, type TrackerTransport, unanswered } from './answer.ts'
import { askEachFamily, askInTurn, resolveTracker } from './asking.ts'
import { standingKey } from './farewell.ts'
import type { TrackerJournal } from './journal.ts'
import { mergeAnswers } from './reports.ts'
import { boundedIntervalS, whyNotYet } from './schedule.ts'
import type { TrackerUrl } from './tracker-url.ts'

export interface AnnouncerComponents {
  gate: Gate
  clock: Clock
  meter: Meter
  journal: TrackerJournal
  transportFor(tracker: TrackerUrl): TrackerTransport
}

/** Who we are to a tracker. */
export type Identity = Pick<OpenAnnounce, 'peerId' | 'port' | 'key'>

interface Question {
  readonly tracker: TrackerUrl
  readonly swarm: InfoHash
  readonly left: number
  readonly past: PairHistory
}

export class Announcer {
  /** Announces that stand at a tracker, by standingKey. */
  readonly standing: Map<string, OpenAnnounce> = new Map()
  /** Those of them that the tracker has acknowledged. */
  readonly #listed = new Set<string>()
  /** Pairs of tracker and hash that are being asked. */
  readonly #asking = new Set<string>()
  readonly #components: AnnouncerComponents
  readonly #identity: Identity

  constructor(components: AnnouncerComponents, identity: Identity) {
    this.#components = components
    this.#identity = identity
  }

  /** Rejects on abort only. */
  async announce(
    tracker: TrackerUrl,
    swarm: InfoHash,
    left: number,
    signal: AbortSignal,
  ): Promise<Answer<AnnounceReply>> {
    const pair = `${swarm} ${tracker.href}`
    if (this.#asking.has(pair)) return unanswered('over-budget', 'it is being asked at this moment')
    this.#asking.add(pair)
    try {
      return await this.#ask(tracker, swarm, left, signal)
    } catch (error) {
      signal.throwIfAborted()
      // The journal: without it no announce leaves.
      if (error instanceof SwarmatlasError) return unanswered('not-tried', error.message)
      throw error
    } finally {
      this.#asking.delete(pair)
    }
  }

  async #ask(tracker: TrackerUrl, swarm: InfoHash, left: number, signal: AbortSignal): Promise<Answer<AnnounceReply>> {
    const { journal, clock, meter } = this.#components
    const history = await journal.load()
    const why = whyNotYet(history, tracker.href, swarm, clock.now())
    if (why !== undefined) return unanswered('over-budget', why)
    const question = { tracker, swarm, left, past: history.pair(tracker.href, swarm) }
    const resolved = await resolveTracker(this.#components, tracker, signal)
    const answers = resolved.ok
      ? await askEachFamily(clock, resolved.value, signal, (addresses, ending) =>
          askInTurn(
            addresses,
            (address, retransmits) => this.#askAt(address, question, { signal: ending, retransmits }),
            (address) => this.standing.has(standingKey({ swarm, address, url: tracker.href })),
          ),
        )
      : [resolved]
    const answer = mergeAnswers(answers, meter)
    await this.#remember(question, answer)
    return answer
  }

  async #askAt(
    address: string,
    { tracker, swarm, left, past }: Question,
    wait: { signal: AbortSignal; retransmits: number },
  ): Promise<Answer<AnnounceReply>> {
    const { journal, clock, transportFor } = this.#components
    const open: Omit<OpenAnnounce, 'atMs'> = {
      ...this.#identity,
      url: tracker.href,
      swarm,
      address,
      owner: journal.owner,
      left,
    }
    const key = standingKey(open)
    let isJournalled = false
    const answer = await transportFor(tracker).announce(
      tracker,
      address,
      {
        ...open,
        peerId: Buffer.from(open.peerId, 'hex'),
        event: this.#listed.has(key) ? 'none' : 'started',
        trackerId: past.reply?.trackerId,
      },
      {
        ...wait,
        timeoutMs: limits.trackerUdpTimeoutMs,
        beforeSend: async () => {
          if (isJournalled) return
          isJournalled = true
          const opened = { ...open, atMs: clock.now() }
          await journal.append({ type: 'opened', ...opened })
          this.standing.set(key, opened)
        },
      },
    )
    if (answer.ok) {
      this.#listed.add(key)
    } else if (answer.outcome === 'refused' && answer.answered && isJournalled) {
      // Whom a tracker turns away it does not list: there is nothing to take back.
      this.standing.delete(key)
      this.#listed.delete(key)
      await journal.append({ type: 'stopped', ...open, atMs: clock.now() })
    }
    return answer
  }

  /** Writes down what binds the next announce. One that never left binds nobody. */
  async #remember({ tracker, swarm, past }: Question, answer: Answer<AnnounceReply>): Promise<void> {
    const { journal, clock } = this.#components
    const about = { atMs: clock.now(), url: tracker.href, swarm }
    if (answer.ok) {
      const { intervalS, minIntervalS = 0, trackerId = past.reply?.trackerId } = answer.value
      await journal.append({
        type: 'replied',
        ...about,
        intervalS: boundedIntervalS(intervalS),
        ...(minIntervalS > 0 ? { minIntervalS: Math.min(minIntervalS, limits.trackerIntervalCeilingS) } : {}),
        ...(trackerId === undefined ? {} : { trackerId }),
      })
    } else if (!NOT_SENT.has(answer.outcome)) {
      await journal.append({
        type: 'failed',
        ...about,
        failures: (past.failure?.failures ?? 0) + 1,
        ...(answer.retryInS === undefined ? {} : { retryInS: answer.retryInS }),
      })
    }
  }
}

const NOT_SENT: ReadonlySet<string> = new Set(['forbidden', 'over-budget', 'not-tried'])
