/** Trackers over HTTP and HTTPS: BEP 3, BEP 7, BEP 23, BEP 48. */
import { type InfoHash, infoHashBytes, limits, type Meter } from '@swarmatlas/core'
import {
  type AnnounceReply,
  type AnnounceRequest,
  type Answer,
  type AskOptions,
  type ScrapeFigures,
  success,
  type TrackerTransport,
  unanswered,
} from './answer.ts'
import { type HttpFetchComponents, type HttpFetchOptions, httpFetch } from './http-fetch.ts'
import { readAnnounceResponse, readScrapeResponse } from './http-replies.ts'
import { percentEncode, scrapeUrl, withParameters } from './tracker-url.ts'

export function createHttpTransport(
  components: HttpFetchComponents & { meter: Meter },
  fetchOptions: HttpFetchOptions,
): TrackerTransport {
  return {
    async announce(tracker, address, request, options): Promise<Answer<AnnounceReply>> {
      const url = withParameters(tracker, announceQuery(request))
      const response = await httpFetch(components, fetchOptions, url, address, options)
      return response.ok ? readAnnounceResponse(response.value, components.meter) : response
    },

    async scrape(tracker, address, swarms, options: AskOptions): Promise<Answer<Map<InfoHash, ScrapeFigures>>> {
      const base = scrapeUrl(tracker)
      if (base === undefined) return unanswered('not-tried', NO_SCRAPE)
      const found = new Map<InfoHash, ScrapeFigures>()
      for (let at = 0; at < swarms.length; at += limits.trackerHttpScrapeHashes) {
        const part = swarms.slice(at, at + limits.trackerHttpScrapeHashes)
        const url = withParameters(base, part.map(infoHashParameter).join('&'))
        const response = await httpFetch(components, fetchOptions, url, address, options)
        const answer = response.ok ? readScrapeResponse(response.value, part) : response
        if (!answer.ok) return answer
        for (const [swarm, figures] of answer.value) found.set(swarm, figures)
      }
      return success(found)
    },

    async close() {},
  }
}

export const NO_SCRAPE = 'its URL has no scrape form (BEP 48)'

function announceQuery({ swarm, peerId, port, key, left, event, trackerId }: AnnounceRequest): string {
  const parameters = [
    infoHashParameter(swarm),
    `peer_id=${percentEncode(peerId)}`,
    `port=${port}`,
    `uploaded=0&downloaded=0&left=${left}`,
    'compact=1&no_peer_id=1',
    `numwant=${event === 'stopped' ? 0 : limits.numwant}`,
    `key=${key.toString(16).padStart(8, '0')}`,
  ]
  if (event !== 'none') parameters.push(`event=${event}`)
  if (trackerId !== undefined) parameters.push(`trackerid=${percentEncode(Buffer.from(trackerId, 'latin1'))}`)
  return parameters.join('&')
}

function infoHashParameter(swarm: InfoHash): string {
  return `info_hash=${percentEncode(infoHashBytes(swarm))}`
}
