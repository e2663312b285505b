/** The contacts of one lookup, nearest first, and what became of them. */
import { type Endpoint, type Family, limits, type Purpose, prefixOf } from '@swarmatlas/core'
import { type Contact, type EndpointMark, eachContact, endpointAt, ID_BYTES, markAt, markOf } from '../contact.ts'
import { type Distance, distance } from './distance.ts'

export interface Candidate {
  /** Undefined for one that nobody named: a bootstrap node. */
  id: Buffer | undefined
  readonly endpoint: Endpoint
  readonly purpose: Purpose
  /** Infinite while the id is unknown. */
  away: Distance
  /** `silent` may answer yet; `dead` has not, or lied, or may not be asked. */
  state: 'new' | 'asked' | 'silent' | 'answered' | 'dead'
  /** Nodes that named it. */
  suggestions: number
  /** It may not be asked before. */
  notBeforeMs: number
  /** When it was first put off. */
  putOffMs: number | undefined
}

export interface Candidates {
  /** Nearest first. Those without an id come last. */
  readonly list: readonly Candidate[]
  add(contact: Contact): void
  /** `nodes` of a reply. */
  addPacked(packed: Buffer, family: Family): void
  /** A node that nobody named. */
  addUnnamed(endpoint: Endpoint, purpose: Purpose): void
  /** An unnamed candidate has said its id. */
  named(candidate: Candidate, id: Buffer): void
}

export function createCandidates({ target }: { target: Uint8Array }): Candidates {
  const list: Candidate[] = []
  const known = new Map<EndpointMark, Candidate>()

  function insert(candidate: Candidate): void {
    let low = 0
    let high = list.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((list[middle] as Candidate).away <= candidate.away) low = middle + 1
      else high = middle
    }
    list.splice(low, 0, candidate)
  }

  function create(mark: EndpointMark, id: Buffer | undefined, endpoint: Endpoint, purpose: Purpose): void {
    const away = id === undefined ? Number.POSITIVE_INFINITY : distance(id, target)
    if (list.length >= limits.dhtContactsPerLookup) {
      const farthest = list.at(-1) as Candidate
      if (farthest.away <= away || farthest.state !== 'new') return
      list.pop()
      known.delete(markOf(farthest.endpoint))
    }
    const candidate: Candidate = {
      id,
      endpoint,
      purpose,
      away,
      state: 'new',
      suggestions: 1,
      notBeforeMs: 0,
      putOffMs: undefined,
    }
    known.set(mark, candidate)
    insert(candidate)
  }

  return {
    list,
    add({ id, endpoint }) {
      const mark = markOf(endpoint)
      const found = known.get(mark)
      if (found !== undefined) found.suggestions++
      else create(mark, id, endpoint, 'dht')
    },
    addPacked(packed, family) {
      eachContact(packed, family, (at) => {
        const mark = markAt(packed, at + ID_BYTES, family)
        const found = known.get(mark)
        if (found !== undefined) found.suggestions++
        else create(mark, packed.subarray(at, at + ID_BYTES), endpointAt(packed, at + ID_BYTES, family), 'dht')
      })
    },
    addUnnamed(endpoint, purpose) {
      const mark = markOf(endpoint)
      if (!known.has(mark)) create(mark, undefined, endpoint, purpose)
    },
    named(candidate, id) {
      list.splice(list.indexOf(candidate), 1)
      candidate.id = id
      candidate.away = distance(id, target)
      insert(candidate)
    },
  }
}

export interface Survey {
  /** Whom to ask next, most promising first; a few at most. */
  readonly next: Candidate[]
  /** Somebody near enough may still answer. */
  readonly hope: boolean
  /** When somebody near enough who may not be asked yet may be: monotonic milliseconds; infinite when there is none. */
  readonly notBeforeMs: number
}

/** Among how many candidates the most often named one is preferred. */
const CHOICE = 3

/**
 * Walks outwards until `k` live nodes are behind it, those who are being asked included: what lies beyond is of no
 * interest. Dead and silent nodes do not count, so they hold nobody's place.
 */
export function survey(
  list: readonly Candidate[],
  { k, perPrefix, nowMs }: { k: number; perPrefix: number; nowMs: number },
): Survey {
  const next: Candidate[] = []
  const prefixes = new Map<string, number>()
  let live = 0
  let hope = false
  let notBeforeMs = Number.POSITIVE_INFINITY
  for (const candidate of list) {
    if (live >= k || next.length >= CHOICE) break
    const { state, endpoint } = candidate
    if (state === 'dead') continue
    if (state === 'silent') {
      hope = true
      continue
    }
    if (perPrefix < Number.POSITIVE_INFINITY) {
      const prefix = prefixOf(endpoint.address)
      const inPrefix = prefixes.get(prefix) ?? 0
      if (inPrefix >= perPrefix) continue
      prefixes.set(prefix, inPrefix + 1)
    }
    if (state === 'new') {
      if (candidate.notBeforeMs <= nowMs) next.push(candidate)
      else notBeforeMs = Math.min(notBeforeMs, candidate.notBeforeMs)
    } else {
      live++
      if (state === 'asked') hope = true
    }
  }
  next.sort((a, b) => Math.min(b.suggestions, CHOICE) - Math.min(a.suggestions, CHOICE))
  return { next, hope, notBeforeMs }
}
