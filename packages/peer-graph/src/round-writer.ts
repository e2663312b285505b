/** The open round: takes facts in, writes them in groups, and is sealed once. */
import {
  type Clock,
  type InfoHash,
  type Logger,
  limits,
  messageOf,
  type Observation,
  SwarmatlasError,
  type Timer,
  type TrackerReport,
  type Visit,
} from '@swarmatlas/core'
import { commit } from './commit.ts'
import type { Facts } from './facts.ts'
import type { LevelStore } from './level-store.ts'
import { RoundBuffer } from './round-buffer.ts'
import type { RoundWriter, SealOptions, TorrentRecord } from './types.ts'

export interface RoundWriterComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly facts: Facts
  /** Where its rows go. */
  readonly rows: LevelStore
  /** Resolves when there is space to write. */
  space(options: { signal?: AbortSignal | undefined }): Promise<void>
  /** One task at a time over the whole store. */
  exclusive<T>(task: () => Promise<T>): Promise<T>
  /** Writes the round's end and seals it. Called after the last commit, again after a failure. */
  end(options: SealOptions): Promise<void>
}

export class OpenRound implements RoundWriter {
  readonly number: number
  readonly #components: RoundWriterComponents
  #buffer: RoundBuffer = new RoundBuffer()
  /** Of the next commit: rows of one group replace each other when a write is tried again. */
  #group = 0
  /** What is being written. */
  #inFlight = 0
  /** Runs from the first fact that nobody flushes, and after a failure. */
  #timer: Timer | undefined
  #flushing = false
  /** The last write failed: the next waits for the timer, or for somebody to ask for it. */
  #failed = false
  #stopped = false
  #sealing: Promise<void> | undefined

  constructor(components: RoundWriterComponents, { number }: { number: number }) {
    this.#components = components
    this.number = number
  }

  torrent(record: TorrentRecord): void {
    this.#open().torrents.push(record)
    this.#schedule()
  }

  observation(torrent: InfoHash, observation: Observation): void {
    this.#open().observe(torrent, observation)
    this.#schedule()
  }

  visit(torrent: InfoHash, visit: Visit): void {
    this.#open().visits.push({ torrent, visit })
    this.#schedule()
  }

  tracker(torrent: InfoHash, report: TrackerReport): void {
    this.#open().reports.push({ torrent, report, atMs: this.#components.clock.now() })
    this.#schedule()
  }

  async ready({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    await this.#components.space({ signal })
    if (this.#buffer.size + this.#inFlight >= limits.storeBufferEntries) await this.flush()
  }

  flush(): Promise<void> {
    return this.#components.exclusive(() => this.#write())
  }

  seal(options: SealOptions): Promise<void> {
    this.#sealing ??= this.#seal(options)
    return this.#sealing
  }

  async #seal(options: SealOptions): Promise<void> {
    try {
      await this.flush()
      await this.#components.end(options)
    } catch (error) {
      // Nothing is lost yet: seal again when there is space.
      this.#sealing = undefined
      throw error
    }
  }

  #open(): RoundBuffer {
    if (this.#sealing === undefined) return this.#buffer
    throw new SwarmatlasError('WRITE_FAILED', `round ${this.number} is sealed: it takes no more facts`)
  }

  /** Drops the timer: the graph closes. */
  stop(): void {
    this.#timer?.cancel()
    this.#stopped = true
  }

  #schedule(): void {
    if (this.#stopped) return
    if (this.#buffer.size >= limits.storeFlushEntries && !this.#failed) this.#flushSoon()
    else this.#timer ??= this.#components.clock.timer(limits.storeFlushMs, () => this.#flushSoon())
  }

  /** Nobody waits for this one: its failure shows in the next call of ready, flush or seal. */
  #flushSoon(): void {
    if (this.#flushing) return
    this.#flushing = true
    this.flush()
      .catch((error) => {
        const why = messageOf(error)
        this.#components.logger.warn('the round could not be written yet', { round: this.number, why })
      })
      .finally(() => {
        this.#flushing = false
      })
  }

  async #write(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#buffer.size === 0) return
    const group = this.#buffer
    this.#buffer = new RoundBuffer()
    this.#inFlight = group.size
    try {
      await commit(this.#components.facts, this.#components.rows, this.#group, group)
      this.#group++
      this.#failed = false
    } catch (error) {
      group.absorb(this.#buffer)
      this.#buffer = group
      this.#failed = true
      this.#schedule()
      throw error
    } finally {
      this.#inFlight = 0
    }
  }
}
