/**
 * Announces and scrapes. A tracker gives peers only in answer to an announce, which lists us there: so every announce is
 * journalled before it is sent and taken back by `stopped`, at `close` or by the next process. schedule.ts says when a
 * tracker may be asked again.
 */
import { setMaxListeners } from 'node:events'
import {
  type Clock,
  type Deadline,
  deadline,
  type Gate,
  type InfoHash,
  type Logger,
  limits,
  type Meter,
  messageOf,
  type Observation,
  type Random,
  SwarmatlasError,
  type TrackerReport,
} from '@swarmatlas/core'
import { Announcer } from './announcer.ts'
import { type Answer, type ScrapeFigures, type TrackerTransport, unanswered } from './answer.ts'
import { askInTurn, resolveTracker } from './asking.ts'
import { debts, sendStopped } from './farewell.ts'
import { createHttpTransport, NO_SCRAPE } from './http-transport.ts'
import type { TrackerJournal } from './journal.ts'
import { badUrlReport, failureReport, observationsOf, successReport } from './reports.ts'
import { parseTrackerUrl, scrapeUrl, type TrackerUrl } from './tracker-url.ts'
import { createUdpTransport } from './udp-transport.ts'

export interface TrackerClientComponents {
  gate: Gate
  clock: Clock
  random: Random
  logger: Logger
  meter: Meter
  /** Stays open when the client closes. */
  journal: TrackerJournal
}

export interface TrackerClientOptions {
  /** 20 bytes. */
  peerId: Uint8Array
  /** A port that we listen on or hold closed, 1-65535. */
  port: number
  /** 32 bits by which trackers know us again; random when undefined. */
  key?: number
  /** `swarmatlas` when undefined. */
  userAgent?: string
  /** PEM certificates that HTTPS trackers are checked against, in place of Node's own list. */
  ca?: readonly string[]
}

export interface AnnounceResult {
  readonly report: TrackerReport
  /** One for each distinct endpoint, at most limits.trackerPeers. Empty unless the outcome is `ok`. */
  readonly observations: readonly Observation[]
}

export interface TrackerClient extends AsyncDisposable {
  /**
   * Asks for peers, over each family that both sides have (BEP 7). `left`: bytes, at least 1, so that nobody takes us
   * for a seed. Rejects on abort only: a bad URL, a refusal, a tracker that may not be asked yet are outcomes.
   */
  announce(url: string, swarm: InfoHash, options: { left: number; signal: AbortSignal }): Promise<AnnounceResult>
  /** Asks for figures only; we are not listed. Rejects on abort only. */
  scrape(
    url: string,
    swarms: readonly InfoHash[],
    options: { signal: AbortSignal },
  ): Promise<Map<InfoHash, TrackerReport>>
  /** Sends `stopped` for what dead processes left open; resolves with the number of announces so taken back. */
  settleDebts(options: { signal: AbortSignal }): Promise<number>
  /** Ends what runs, sends `stopped` for all open announces within limits.trackerStopTimeoutMs, then closes. Idempotent. */
  close(): Promise<void>
}

export function createTrackerClient(components: TrackerClientComponents, options: TrackerClientOptions): TrackerClient {
  if (options.peerId.length !== 20) throw new SwarmatlasError('BAD_OPTION', 'a peer id has 20 bytes')
  const { port } = options
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new SwarmatlasError('BAD_OPTION', `port ${port} is not in 1-65535`)
  }
  return new Client(components, options)
}

class Client implements TrackerClient {
  readonly #components: TrackerClientComponents
  readonly #udp: TrackerTransport
  readonly #http: TrackerTransport
  readonly #announcer: Announcer
  readonly #running = new Map<Deadline, Promise<unknown>>()
  #closing: Promise<void> | undefined

  constructor(components: TrackerClientComponents, { peerId, port, key, userAgent, ca }: TrackerClientOptions) {
    this.#components = components
    this.#udp = createUdpTransport(components)
    this.#http = createHttpTransport(components, { userAgent: userAgent ?? 'swarmatlas', ca })
    this.#announcer = new Announcer(
      { ...components, transportFor: this.#transportFor },
      {
        peerId: Buffer.from(peerId).toString('hex'),
        port,
        key: key ?? Buffer.from(components.random.bytes(4)).readUInt32BE(0),
      },
    )
  }

  async announce(
    url: string,
    swarm: InfoHash,
    { left, signal }: { left: number; signal: AbortSignal },
  ): Promise<AnnounceResult> {
    const tracker = parseTrackerUrl(url)
    if ('problem' in tracker) return { report: badUrlReport(url, tracker), observations: [] }
    const answer = await this.#run(signal, (ending) =>
      this.#announcer.announce(tracker, swarm, Math.max(1, left), ending),
    )
    if (!answer.ok) return { report: failureReport(tracker, answer), observations: [] }
    const reply = answer.value
    return {
      report: successReport(tracker, reply, {
        peers: reply.peers.length,
        intervalS: reply.intervalS,
        detail: reply.warning,
      }),
      observations: observationsOf(tracker, swarm, reply, this.#components.clock.now()),
    }
  }

  async scrape(
    url: string,
    swarms: readonly InfoHash[],
    { signal }: { signal: AbortSignal },
  ): Promise<Map<InfoHash, TrackerReport>> {
    const tracker = parseTrackerUrl(url)
    const forAll = (report: TrackerReport) => new Map(swarms.map((swarm) => [swarm, report]))
    if ('problem' in tracker) return forAll(badUrlReport(url, tracker))
    const answer = await this.#run(signal, (ending) => this.#scrape(tracker, swarms, ending))
    if (!answer.ok) return forAll(failureReport(tracker, answer))
    const report = (figures: ScrapeFigures | undefined) =>
      successReport(tracker, figures ?? {}, {
        detail: figures === undefined ? 'the tracker does not know this torrent' : undefined,
      })
    return new Map(swarms.map((swarm) => [swarm, report(answer.value.get(swarm))]))
  }

  settleDebts({ signal }: { signal: AbortSignal }): Promise<number> {
    const { journal } = this.#components
    return this.#run(signal, async (ending) => {
      const owed = debts(journal, await journal.load(), this.#announcer.standing)
      const told = await sendStopped({ ...this.#components, transportFor: this.#transportFor }, owed, {
        signal: ending,
        inFlight: limits.trackerStopsInFlight,
        eachMs: limits.trackerHttpTimeoutMs,
        timeoutMs: limits.trackerUdpTimeoutMs,
        retransmits: limits.trackerUdpRetransmits,
      })
      ending.throwIfAborted()
      return told
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    const running = [...this.#running]
    for (const [ending] of running) ending.abort(closedError())
    await Promise.allSettled(running.map(([, done]) => done))
    const standing = [...this.#announcer.standing.values()]
    try {
      await sendStopped({ ...this.#components, transportFor: this.#transportFor }, standing, {
        signal: new AbortController().signal,
        inFlight: standing.length,
        eachMs: limits.trackerStopTimeoutMs,
        timeoutMs: limits.trackerStopRetransmitMs,
        retransmits: limits.trackerUdpRetransmits,
      })
    } catch (error) {
      this.#components.logger.warn('a stopped announce could not be journalled', { error: messageOf(error) })
    } finally {
      await Promise.all([this.#udp.close(), this.#http.close()])
    }
  }

  /** Runs `work` until the caller's signal or `close` ends it. */
  async #run<T>(signal: AbortSignal, work: (ending: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) throw closedError()
    signal.throwIfAborted()
    // A round has one signal for hundreds of announces.
    setMaxListeners(0, signal)
    const ending = deadline(this.#components.clock, undefined, signal)
    const done = work(ending.signal)
    this.#running.set(ending, done)
    try {
      return await done
    } finally {
      this.#running.delete(ending)
      ending[Symbol.dispose]()
    }
  }

  readonly #transportFor = (tracker: TrackerUrl): TrackerTransport =>
    tracker.scheme === 'udp' ? this.#udp : this.#http

  async #scrape(
    tracker: TrackerUrl,
    swarms: readonly InfoHash[],
    signal: AbortSignal,
  ): Promise<Answer<Map<InfoHash, ScrapeFigures>>> {
    if (tracker.scheme !== 'udp' && scrapeUrl(tracker) === undefined) return unanswered('not-tried', NO_SCRAPE)
    const resolved = await resolveTracker(this.#components, tracker, signal)
    if (!resolved.ok) return resolved
    return askInTurn(resolved.value, (address, retransmits) =>
      this.#transportFor(tracker).scrape(tracker, address, swarms, {
        signal,
        timeoutMs: limits.trackerUdpTimeoutMs,
        retransmits,
        beforeSend: async () => {},
      }),
    )
  }
}

function closedError(): SwarmatlasError {
  return new SwarmatlasError('ABORTED', 'the tracker client is closed')
}
