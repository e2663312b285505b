/** What is remembered of announces, within a process and across processes: when each tracker may be asked again, and who is still owed a `stopped`. */
import { type InfoHash, limits } from '@swarmatlas/core'

/** An announce that stands at a tracker until `stopped` is sent from the same identity to the same address. */
export interface OpenAnnounce {
  readonly atMs: number
  /** The whole URL: without its secrets no `stopped` could be sent. */
  readonly url: string
  readonly swarm: InfoHash
  /** Where it was sent: a name may resolve to others later. */
  readonly address: string
  /** The process that announced; see process-mark.ts. */
  readonly owner: string
  /** 40 hex digits. */
  readonly peerId: string
  readonly port: number
  readonly key: number
  readonly left: number
  /** Failed attempts at `stopped`. */
  readonly attempts?: number
}

export type JournalRecord =
  | ({ readonly type: 'opened' } & OpenAnnounce)
  | {
      readonly type: 'replied'
      readonly atMs: number
      readonly url: string
      readonly swarm: InfoHash
      readonly intervalS: number
      readonly minIntervalS?: number
      readonly trackerId?: string
    }
  | {
      readonly type: 'failed'
      readonly atMs: number
      readonly url: string
      readonly swarm: InfoHash
      /** Failures in a row, this one included. */
      readonly failures: number
      readonly retryInS?: number
    }
  /** `stopped` was sent or is not owed. */
  | ({ readonly type: 'stopped' } & OpenKey)
  | ({ readonly type: 'stop-failed'; readonly attempts: number } & OpenKey)

type OpenKey = Pick<OpenAnnounce, 'atMs' | 'url' | 'swarm' | 'address' | 'owner'>
type Reply = Extract<JournalRecord, { type: 'replied' }>
type Failure = Extract<JournalRecord, { type: 'failed' }>

/** All that is known of one tracker and one hash. */
export interface PairHistory {
  readonly reply?: Reply
  /** Gone once the tracker replies. */
  readonly failure?: Failure
}

/** Bounded: see limits.trackerJournalPairs. */
export class AnnounceHistory {
  /** By URL and hash, the longest untouched first. */
  readonly #pairs = new Map<string, PairHistory>()
  readonly #open = new Map<string, OpenAnnounce>()

  apply(record: JournalRecord): void {
    switch (record.type) {
      case 'opened': {
        const { type: _, ...open } = record
        touch(this.#open, openKey(record), open)
        break
      }
      case 'replied':
        touch(this.#pairs, pairKey(record.url, record.swarm), { reply: record })
        break
      case 'failed': {
        const key = pairKey(record.url, record.swarm)
        touch(this.#pairs, key, { ...this.#pairs.get(key), failure: record })
        break
      }
      case 'stopped':
        this.#open.delete(openKey(record))
        break
      case 'stop-failed': {
        const open = this.#open.get(openKey(record))
        if (open !== undefined) this.#open.set(openKey(record), { ...open, attempts: record.attempts })
        break
      }
    }
  }

  pair(url: string, swarm: InfoHash): PairHistory {
    return this.#pairs.get(pairKey(url, swarm)) ?? {}
  }

  open(): Iterable<OpenAnnounce> {
    return this.#open.values()
  }

  /** The records that say the same as all so far; what no longer binds anyone is left out. */
  records(nowMs: number): JournalRecord[] {
    const kept = (record: { atMs: number; retryInS?: number }) =>
      nowMs - record.atMs < Math.max(limits.trackerIntervalCeilingS, record.retryInS ?? 0) * 1000
    const pairs = [...this.#pairs.values()].flatMap(({ reply, failure }) =>
      [reply, failure].filter((record) => record !== undefined),
    )
    const open = [...this.#open.values()].map((announce) => ({ type: 'opened' as const, ...announce }))
    return [...pairs, ...open].filter(kept)
  }
}

function pairKey(url: string, swarm: InfoHash): string {
  return `${swarm} ${url}`
}

function openKey({ url, swarm, address, owner }: OpenKey): string {
  return `${swarm} ${address} ${owner} ${url}`
}

function touch<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= limits.trackerJournalPairs) return
  const [oldest] = map.keys()
  if (oldest !== undefined) map.delete(oldest)
}
