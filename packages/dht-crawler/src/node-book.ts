/**
 * Whom we asked when, and who did not answer, over all lookups of one socket. It keeps us from asking a node too often
 * and a dead one again and again: half of the contacts in the DHT are dead, and every node hands them on.
 */
import { type Clock, type Endpoint, endpointKey, limits, parseEndpoint } from '@swarmatlas/core'

/** An endpoint that did not answer, for the next session. */
export interface UnansweredNode {
  readonly endpoint: string
  /** Unix milliseconds. */
  readonly atMs: number
}

export interface NodeRecord {
  readonly endpoint: Endpoint
  askedMs: number
  /** Queries in a row without an answer, and when the latest was sent. */
  unanswered: number
  unansweredMs: number
  answered: boolean
}

export interface NodeBook {
  /** The record of an endpoint, made when there is none. */
  of(endpoint: Endpoint): NodeRecord
  /** Left alone after what it left unanswered. */
  isShunned(record: NodeRecord): boolean
  unanswered(): UnansweredNode[]
}

export function createNodeBook({ clock }: { clock: Clock }, saved: readonly UnansweredNode[] = []): NodeBook {
  let current = new Map<string, NodeRecord>()
  let previous = new Map<string, NodeRecord>()

  function insert(key: string, record: NodeRecord): void {
    if (current.size >= limits.dhtNodeBook) {
      previous = current
      current = new Map()
    }
    current.set(key, record)
  }

  const book: NodeBook = {
    of(endpoint) {
      const key = endpointKey(endpoint)
      const found = current.get(key)
      if (found !== undefined) return found
      const never = Number.NEGATIVE_INFINITY
      const record = previous.get(key) ?? {
        endpoint,
        askedMs: never,
        unanswered: 0,
        unansweredMs: never,
        answered: false,
      }
      insert(key, record)
      return record
    },
    isShunned({ unanswered, unansweredMs, answered }) {
      if (unanswered < (answered ? limits.dhtStrikes : 1)) return false
      return clock.monotonic() - unansweredMs < limits.dhtUnansweredMs
    },
    unanswered() {
      const toWall = clock.now() - clock.monotonic()
      return [...current.values(), ...[...previous].filter(([key]) => !current.has(key)).map(([, record]) => record)]
        .filter((record) => book.isShunned(record))
        .map(({ endpoint, unansweredMs }) => ({
          endpoint: endpointKey(endpoint),
          atMs: Math.round(unansweredMs + toWall),
        }))
    },
  }

  // What a file says is input like any other: a time to come would shun for ever.
  const now = clock.now()
  for (const { endpoint: text, atMs } of saved.slice(0, limits.dhtNodeBook)) {
    const endpoint = parseEndpoint(text)
    if (endpoint === undefined || !(atMs <= now && now - atMs < limits.dhtUnansweredMs)) continue
    const record = book.of(endpoint)
    record.unanswered = 1
    record.unansweredMs = clock.monotonic() - (now - atMs)
  }
  return book
}
