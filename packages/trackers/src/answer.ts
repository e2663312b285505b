/** What asking a tracker comes to, over UDP and HTTP alike. */
import {
  type Endpoint,
  endpointKey,
  type InfoHash,
  limits,
  type Outcome,
  printable,
  type Refusal,
} from '@swarmatlas/core'
import type { TrackerUrl } from './tracker-url.ts'

export type Answer<T> = { readonly ok: true; readonly value: T } | TrackerFailure

export interface TrackerFailure {
  readonly ok: false
  readonly outcome: Outcome
  readonly detail: string
  /** The tracker itself spoke, so it is known to have had the request. */
  readonly answered: boolean
  /** It named a time before which it does not want to be asked again. */
  readonly retryInS?: number
}

/** BEP 3, BEP 15: `none` is the announce that only repeats. */
type AnnounceEvent = 'none' | 'started' | 'stopped'

export interface AnnounceRequest {
  readonly swarm: InfoHash
  readonly peerId: Uint8Array
  readonly port: number
  /** 32 bits by which a tracker knows us again when our address changes. */
  readonly key: number
  /** Bytes; over 0, so that nobody takes us for a seed. */
  readonly left: number
  readonly event: AnnounceEvent
  /** `tracker id` of its last reply, read as Latin-1 (HTTP only). */
  readonly trackerId?: string | undefined
}

export interface AnnounceReply {
  /** Distinct endpoints; at most limits.trackerPeers. */
  readonly peers: readonly Endpoint[]
  readonly seeds?: number | undefined
  readonly leeches?: number | undefined
  readonly downloads?: number | undefined
  readonly intervalS?: number | undefined
  readonly minIntervalS?: number | undefined
  readonly trackerId?: string | undefined
  readonly warning?: string | undefined
}

export interface ScrapeFigures {
  readonly seeds?: number | undefined
  readonly leeches?: number | undefined
  readonly downloads?: number | undefined
}

export interface AskOptions {
  readonly signal: AbortSignal
  /** UDP: wait for the first reply; doubled for each retransmit. */
  readonly timeoutMs: number
  readonly retransmits: number
  /** Called when the tracker is reached and the request is about to leave; may be called more than once. What it throws ends the request. */
  beforeSend(): Promise<void>
}

/** One way to talk to trackers. Its methods reject on abort, and with what `beforeSend` threw. */
export interface TrackerTransport {
  announce(
    tracker: TrackerUrl,
    address: string,
    request: AnnounceRequest,
    options: AskOptions,
  ): Promise<Answer<AnnounceReply>>
  /** A hash that the tracker leaves out is missing from the map. */
  scrape(
    tracker: TrackerUrl,
    address: string,
    swarms: readonly InfoHash[],
    options: AskOptions,
  ): Promise<Answer<Map<InfoHash, ScrapeFigures>>>
  close(): Promise<void>
}

export function success<T>(value: T): Answer<T> {
  return { ok: true, value }
}

/** The tracker was not reached, or fell silent. */
export function unanswered(outcome: Outcome, detail: string): TrackerFailure {
  return { ok: false, outcome, detail: words(detail), answered: false }
}

/** The tracker spoke: `refused` in its own words, `bad-message` in ours. */
export function answered(outcome: 'refused' | 'bad-message', detail: string, retryInS?: number): TrackerFailure {
  return { ok: false, outcome, detail: words(detail), answered: true, ...(retryInS === undefined ? {} : { retryInS }) }
}

export function forbidden(refusal: Refusal, to: Endpoint): TrackerFailure {
  const outcome = refusal.retryAfterMs === undefined ? 'forbidden' : 'over-budget'
  return unanswered(outcome, `the address policy does not allow ${endpointKey(to)} (${refusal.reason})`)
}

/** Text from a tracker, fit to be shown. */
export function words(text: string): string {
  return printable(text.trim(), limits.trackerWordsChars)
}

export function distinctEndpoints(endpoints: readonly Endpoint[]): Endpoint[] {
  return [...new Map(endpoints.map((endpoint) => [endpointKey(endpoint), endpoint])).values()]
}
