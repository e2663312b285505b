/** Reports and observations from what trackers answered. */
import {
  type InfoHash,
  limits,
  type Meter,
  type Observation,
  type ObservationFlag,
  redactUrl,
  type TrackerReport,
} from '@swarmatlas/core'
import {
  type AnnounceReply,
  type Answer,
  distinctEndpoints,
  type ScrapeFigures,
  success,
  type TrackerFailure,
  unanswered,
  words,
} from './answer.ts'
import { type BadTrackerUrl, type TrackerUrl, withoutSecrets } from './tracker-url.ts'

/**
 * The answers over several families (BEP 7) as one: peers together, figures from the reply that counts most, since both
 * may count the same peers. Without a reply, the failure in which the tracker spoke.
 */
export function mergeAnswers(answers: readonly Answer<AnnounceReply>[], meter: Meter): Answer<AnnounceReply> {
  const replies = answers.flatMap((answer) => (answer.ok ? [answer.value] : []))
  if (replies.length > 0) return success(mergeReplies(replies, meter))
  const failures = answers.filter((answer) => !answer.ok)
  return failures.find(({ answered }) => answered) ?? failures[0] ?? unanswered('not-tried', 'no address')
}

function mergeReplies(replies: readonly AnnounceReply[], meter: Meter): AnnounceReply {
  const peers = distinctEndpoints(replies.flatMap((reply) => reply.peers))
  if (peers.length > limits.trackerPeers) meter.count('trackers.peers.capped')
  const fullest = replies.reduce((best, reply) => (counted(reply) > counted(best) ? reply : best))
  return {
    ...fullest,
    peers: peers.slice(0, limits.trackerPeers),
    intervalS: largest(replies.map((reply) => reply.intervalS)),
    minIntervalS: largest(replies.map((reply) => reply.minIntervalS)),
    trackerId: replies.find((reply) => reply.trackerId !== undefined)?.trackerId,
    warning: replies.find((reply) => reply.warning !== undefined)?.warning,
  }
}

export function successReport(
  tracker: TrackerUrl,
  { seeds, leeches, downloads }: ScrapeFigures,
  { peers = 0, intervalS, detail }: { peers?: number; intervalS?: number | undefined; detail?: string | undefined },
): TrackerReport {
  return {
    url: tracker.shown,
    outcome: 'ok',
    peers,
    ...(detail === undefined ? {} : { detail: words(withoutSecrets(detail, tracker)) }),
    ...(seeds === undefined ? {} : { seeds }),
    ...(leeches === undefined ? {} : { leeches }),
    ...(downloads === undefined ? {} : { downloads }),
    ...(intervalS === undefined ? {} : { intervalS }),
  }
}

export function failureReport(tracker: TrackerUrl, { outcome, detail }: TrackerFailure): TrackerReport {
  return { url: tracker.shown, outcome, detail: withoutSecrets(detail, tracker), peers: 0 }
}

export function badUrlReport(url: string, { outcome, problem }: BadTrackerUrl): TrackerReport {
  return { url: redactUrl(url), outcome, detail: problem, peers: 0 }
}

export function observationsOf(
  tracker: TrackerUrl,
  swarm: InfoHash,
  { peers }: AnnounceReply,
  atMs: number,
): Observation[] {
  const teller = { kind: 'tracker', url: tracker.shown } as const
  return peers.map((peer) => {
    const flags: ObservationFlag[] = peer.port <= 1 ? ['suspect-port'] : []
    return { atMs, swarm, channel: 'tracker', teller, peer, flags }
  })
}

function counted({ seeds = 0, leeches = 0 }: AnnounceReply): number {
  return seeds + leeches
}

function largest(values: readonly (number | undefined)[]): number | undefined {
  const named = values.filter((value) => value !== undefined)
  return named.length === 0 ? undefined : Math.max(...named)
}
