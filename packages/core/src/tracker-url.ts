/** Tracker URLs as targets name them: which of them are kept. */
import { limits } from './limits.ts'

const SCHEMES = new Set(['http:', 'https:', 'udp:', 'ws:', 'wss:'])

export interface SievedTrackers {
  /** Valid, distinct, at most limits.trackersPerTarget, in the order given. */
  readonly trackers: readonly string[]
  /** How many others were left out, repetitions not counted. */
  readonly ignored: number
  readonly notes: readonly string[]
}

export function sieveTrackers(urls: Iterable<string>): SievedTrackers {
  const kept = new Map<string, string>()
  let invalid = 0
  let over = 0
  for (const text of urls) {
    const url = parseTrackerUrl(text)
    if (url === undefined) invalid++
    else if (kept.has(url.href)) continue
    else if (kept.size >= limits.trackersPerTarget) over++
    // URL drops control characters and spaces that the text may hold.
    else kept.set(url.href, /^[\x21-\x7e]+$/.test(text) ? text : url.href)
  }
  const notes: string[] = []
  if (invalid > 0) notes.push(`${count(invalid, 'tracker')} ignored: not an http, https, udp or ws URL`)
  if (over > 0) notes.push(`${count(over, 'tracker')} over the limit of ${limits.trackersPerTarget} ignored`)
  return { trackers: [...kept.values()], ignored: invalid + over, notes }
}

function parseTrackerUrl(text: string): URL | undefined {
  if (text.length > limits.trackerUrlChars) return undefined
  try {
    const url = new URL(text)
    return SCHEMES.has(url.protocol) && url.hostname !== '' ? url : undefined
  } catch {
    return undefined
  }
}

/** `1 tracker`, `3 trackers`. */
export function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? '' : 's'}`
}
