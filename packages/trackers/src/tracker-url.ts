/** Tracker URLs: hostile input, since magnets and redirects bring them. */
import { domainToASCII } from 'node:url'
import { canonicalAddress, limits, redactUrl } from '@swarmatlas/core'

export interface TrackerUrl {
  readonly scheme: 'http' | 'https' | 'udp'
  /** An ASCII host name, or an address without brackets. */
  readonly host: string
  readonly port: number
  /** Path and query as they stand in the URL; may be empty for udp. */
  readonly path: string
  readonly query: string
  /** The whole URL, secrets included: never for display. */
  readonly href: string
  /** The URL without secrets. */
  readonly shown: string
}

export interface BadTrackerUrl {
  readonly outcome: 'forbidden' | 'not-tried'
  readonly problem: string
}

const DEFAULT_PORT: Readonly<Record<TrackerUrl['scheme'], number | undefined>> = {
  http: 80,
  https: 443,
  udp: undefined,
}

export function parseTrackerUrl(text: string, maxChars: number = limits.trackerUrlChars): TrackerUrl | BadTrackerUrl {
  const trimmed = text.trim()
  if (trimmed.length > maxChars) return notTried(`longer than ${maxChars} characters`)
  let url: URL
  try {
    url = new URL(trimmed)
  } catch {
    return notTried('not a URL')
  }
  const scheme = url.protocol.slice(0, -1)
  if (scheme === 'ws' || scheme === 'wss') {
    return { outcome: 'forbidden', problem: 'WebRTC trackers list no reachable peers and are not asked' }
  }
  if (scheme !== 'http' && scheme !== 'https' && scheme !== 'udp') {
    return notTried('only http, https and udp trackers are asked')
  }
  if (url.username !== '' || url.password !== '') return notTried('a tracker URL with a user name is not asked')
  const host = hostOf(url.hostname)
  if (host === undefined) return notTried('no valid host name')
  const port = url.port === '' ? DEFAULT_PORT[scheme] : Number(url.port)
  if (port === undefined) return notTried('a udp tracker needs a port')
  if (port === 0) return notTried('port 0')
  url.hash = ''
  return { scheme, host, port, path: url.pathname, query: url.search, href: url.href, shown: redactUrl(url.href) }
}

/** The URL with further parameters behind what its query already holds (a passkey, say). */
export function withParameters(url: TrackerUrl, parameters: string): TrackerUrl {
  const query = url.query.length > 1 ? `${url.query}&${parameters}` : `?${parameters}`
  const href = new URL(url.href)
  href.search = query
  return { ...url, query, href: href.href }
}

/** BEP 48: only where the last part of the path begins with `announce` there is a scrape URL. */
export function scrapeUrl(url: TrackerUrl): TrackerUrl | undefined {
  const split = url.path.lastIndexOf('/') + 1
  const last = url.path.slice(split)
  if (!last.startsWith('announce')) return undefined
  const path = `${url.path.slice(0, split)}scrape${last.slice('announce'.length)}`
  const href = new URL(url.href)
  href.pathname = path
  return { ...url, path, href: href.href }
}

/** Bytes in a query, each one escaped unless RFC 3986 calls it unreserved. */
export function percentEncode(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) {
    const char = String.fromCharCode(byte)
    text += /[0-9A-Za-z._~-]/.test(char) ? char : `%${byte.toString(16).padStart(2, '0')}`
  }
  return text
}

/** What a tracker says may repeat the passkey it was sent: parts of its URL that could be one are taken out. */
export function withoutSecrets(text: string, url: TrackerUrl): string {
  const inPath = url.path.split('/').filter((part) => /\d/.test(part))
  const parts = [...inPath, ...new URLSearchParams(url.query).values()]
  return parts.filter((part) => part.length >= 8).reduce((clean, part) => clean.replaceAll(part, '…'), text)
}

function notTried(problem: string): BadTrackerUrl {
  return { outcome: 'not-tried', problem }
}

function hostOf(hostname: string): string | undefined {
  if (hostname.startsWith('[')) return canonicalAddress(hostname.slice(1, -1))
  // The URL parser leaves the host of a scheme that it does not know as it is.
  const ascii = domainToASCII(hostname)
  return /^[0-9a-z._-]{1,253}$/.test(ascii) ? ascii : undefined
}
