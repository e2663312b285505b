/** What HTTP trackers answer: BEP 3, with BEP 7 (peers6), BEP 23 (compact), BEP 31 (retry in) and BEP 48 (scrape). */
import { STATUS_CODES } from 'node:http'
import {
  type BencodedDict,
  canonicalAddress,
  decodeBencodePrefix,
  decodeCompactList,
  type Endpoint,
  type InfoHash,
  limits,
  type Meter,
  read,
} from '@swarmatlas/core'
import {
  type AnnounceReply,
  type Answer,
  answered,
  distinctEndpoints,
  type ScrapeFigures,
  success,
  type TrackerFailure,
} from './answer.ts'

export interface HttpResponse {
  readonly status: number
  readonly contentType: string
  /** `Retry-After` in seconds (RFC 9110). */
  readonly retryAfterS: number | undefined
  /** Decompressed. */
  readonly body: Uint8Array
}

export function readAnnounceResponse(response: HttpResponse, meter: Meter): Answer<AnnounceReply> {
  const dict = readDict(response)
  if (!(dict instanceof Map)) return dict
  const intervalS = read.integer(dict, 'interval')
  if (intervalS === undefined && !dict.has('peers') && !dict.has('peers6')) {
    return answered('bad-message', 'answered with neither peers nor an interval')
  }
  const compact = read.bytes(dict, 'peers')
  const listed = [
    ...(compact === undefined ? [] : decodeCompactList(compact, 4, limits.trackerPeers)),
    ...readPeerDicts(dict, meter),
    ...decodeCompactList(read.bytes(dict, 'peers6') ?? new Uint8Array(), 6, limits.trackerPeers),
  ]
  if (listed.length > limits.trackerPeers) meter.count('trackers.peers.capped')
  const trackerId = read.bytes(dict, 'tracker id')
  return success({
    peers: distinctEndpoints(listed.slice(0, limits.trackerPeers)),
    seeds: readCount(dict, 'complete'),
    leeches: readCount(dict, 'incomplete'),
    downloads: readCount(dict, 'downloaded'),
    intervalS,
    minIntervalS: read.integer(dict, 'min interval'),
    trackerId:
      trackerId !== undefined && trackerId.length <= limits.trackerIdBytes
        ? Buffer.from(trackerId).toString('latin1')
        : undefined,
    warning: read.text(dict, 'warning message'),
  })
}

export function readScrapeResponse(
  response: HttpResponse,
  swarms: readonly InfoHash[],
): Answer<Map<InfoHash, ScrapeFigures>> {
  const dict = readDict(response)
  if (!(dict instanceof Map)) return dict
  const files = read.dict(dict, 'files')
  if (files === undefined) return answered('bad-message', 'answered a scrape without files')
  const found = new Map<InfoHash, ScrapeFigures>()
  for (const swarm of swarms) {
    const file = read.dict(files, Buffer.from(swarm, 'hex').toString('latin1'))
    if (file === undefined) continue
    found.set(swarm, {
      seeds: readCount(file, 'complete'),
      leeches: readCount(file, 'incomplete'),
      downloads: readCount(file, 'downloaded'),
    })
  }
  return success(found)
}

/** The reply's dictionary, or what is wrong with it; a failure may come with any status. */
function readDict(response: HttpResponse): BencodedDict | TrackerFailure {
  const dict = decodeBencodePrefix(response.body, { maxItems: limits.trackerPeers * 10 })?.value
  if (dict instanceof Map) {
    const failure = read.text(dict, 'failure reason')
    if (failure !== undefined) return answered('refused', failure, readRetry(dict))
  }
  if (response.status < 200 || response.status > 299) {
    const name = STATUS_CODES[response.status] ?? ''
    return answered('bad-message', `answered with HTTP ${response.status} ${name}`, response.retryAfterS)
  }
  if (dict instanceof Map) return dict
  const looksLikeHtml = /^\s*<(!doctype|html|head|body)/i.test(
    Buffer.from(response.body.subarray(0, 64)).toString('latin1'),
  )
  if (looksLikeHtml || response.contentType.startsWith('text/html')) {
    return answered('bad-message', 'answered with a web page (text/html), not with bencode')
  }
  return answered('bad-message', 'answered with what is no bencoded dictionary')
}

/** BEP 31: whole minutes, or `never`; seconds here. */
function readRetry(dict: BencodedDict): number | undefined {
  const text = read.text(dict, 'retry in')
  if (text === 'never') return limits.trackerNeverS
  const minutes = read.integer(dict, 'retry in') ?? (text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) : 0)
  return minutes > 0 ? Math.min(minutes * 60, limits.trackerIntervalCeilingS) : undefined
}

/** The peers of a tracker that does not know BEP 23. Host names in place of addresses are not looked up. */
function readPeerDicts(dict: BencodedDict, meter: Meter): Endpoint[] {
  const peers: Endpoint[] = []
  for (const entry of read.list(dict, 'peers') ?? []) {
    const peer = entry instanceof Map ? entry : undefined
    const address = canonicalAddress(read.text(peer, 'ip') ?? '')
    const port = read.integer(peer, 'port')
    if (address === undefined || port === undefined || port < 0 || port > 65_535) {
      meter.count('trackers.peers.unreadable')
    } else if (peers.length <= limits.trackerPeers) {
      peers.push({ address, port })
    }
  }
  return peers
}

function readCount(dict: BencodedDict, key: string): number | undefined {
  const count = read.integer(dict, key)
  return count !== undefined && count >= 0 ? count : undefined
}
