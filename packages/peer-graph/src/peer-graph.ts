/** The peer graph: opens the store, hands out rounds to write, and answers questions from snapshots. */
import {
  type Clock,
  codeOf,
  type Endpoint,
  type GraphView,
  type InfoHash,
  type Logger,
  messageOf,
  SwarmatlasError,
} from '@swarmatlas/core'
import { AddressBook } from './address-book.ts'
import { peerChanges, sharedPeers, swarmDifferences } from './compare.ts'
import { edgeRecords } from './edges.ts'
import { explain } from './explain.ts'
import { createFacts, type Facts } from './facts.ts'
import { graphViewOf } from './graph-view.ts'
import { lockedError, removeHolder, writeHolder } from './holder.ts'
import { fromJson, toJson } from './json-row.ts'
import { checkSchema, factsDir, prepareDirectory } from './layout.ts'
import { type LevelOptions, LevelStore } from './level-store.ts'
import { Maintenance } from './maintenance.ts'
import { peerRecords } from './peers.ts'
import { OpenRound } from './round-writer.ts'
import { beginRound, endRound } from './rounds.ts'
import { keys } from './schema.ts'
import { Shelf } from './shelf.ts'
import { SpaceGuard, type StoreSpace } from './space.ts'
import { logEvent, storeEvents } from './store-events.ts'
import { StudyKey } from './study-key.ts'
import { roundSummaries, swarmSeries, swarmSummaries, torrentDetails } from './swarms.ts'
import type {
  Damage,
  EdgeFilter,
  EdgeRecord,
  Explanation,
  PauseReason,
  PeerChange,
  PeerFilter,
  PeerGraph,
  PeerRecord,
  PruneReport,
  RebuildReport,
  RoundSummary,
  RoundWriter,
  SealOptions,
  SeriesPoint,
  SharedPeer,
  StoreEvent,
  SwarmDifference,
  SwarmSummary,
  TorrentDetails,
} from './types.ts'
import { verifyStore } from './verify.ts'
import { openRoundDir, streamView, type View, withView } from './view.ts'

export interface PeerGraphComponents {
  readonly clock: Clock
  readonly logger: Logger
  /** Told when collectors have to wait for space, and when they need not any more (undefined). */
  readonly onPause?: ((why: PauseReason | undefined) => void) | undefined
}

export interface PeerGraphOptions {
  readonly dir: string
  /** Makes the store when there is none; else that is STORE_NOT_FOUND. */
  readonly create: boolean
  /** What the next opener is told about this one; a round that is started replaces it. `swarmatlas` when undefined. */
  readonly command?: string | undefined
  /** In all files; true when undefined. Off where tests look for bytes in the files. */
  readonly compression?: boolean | undefined
  /** When to pause for want of space; never when undefined. */
  readonly space?: StoreSpace | undefined
  /** Called before each batch with its directory; what it throws is taken for a failed write. For tests. */
  readonly onBatch?: LevelOptions['onBatch']
}

/**
 * Rejects with STORE_NOT_FOUND, STORE_LOCKED (naming the holder), STORE_SCHEMA, STORE_CORRUPT, STORE_FULL, or
 * WRITE_FAILED (permissions). The returned object's methods reject with the last three.
 */
export async function openPeerGraph(components: PeerGraphComponents, options: PeerGraphOptions): Promise<PeerGraph> {
  const { clock, logger, onPause } = components
  const { dir, create, command = 'swarmatlas', compression = true, onBatch, space = {} } = options
  const level: LevelOptions = { compression, onBatch }
  await prepareDirectory(dir, create)
  const store = await LevelStore.open(factsDir(dir), level, async () => {
    throw await lockedError(dir)
  })
  const shelf = new Shelf(dir, level)
  let book: AddressBook | undefined
  try {
    await checkSchema(store)
    const key = await StudyKey.open(dir)
    const reservedKey = keys.meta('peer numbers reserved below')
    const reserved = await store.get(reservedKey)
    book = await AddressBook.open(
      {
        clock,
        key,
        // Synced: a number must never be given twice, not even when power fails.
        reserve: (firstFree) => store.write([[reservedKey, toJson(firstFree)]], { sync: true }),
      },
      { dir, ...level, firstFree: reserved === undefined ? 1 : fromJson<number>(reserved, 'a counter') },
    )
    const facts = createFacts({ store, book, shelf, key })
    const maintenance = new Maintenance({ clock, logger, facts }, dir)
    const graph = new LevelPeerGraph({ clock, logger, facts, maintenance, onPause }, { dir, space })
    await graph.begin(command)
    return graph
  } catch (error) {
    await shelf.close()
    await book?.close()
    await store.close()
    throw error
  }
}

interface Parts extends PeerGraphComponents {
  readonly facts: Facts
  readonly maintenance: Maintenance
}

class LevelPeerGraph implements PeerGraph {
  readonly dir: string
  readonly view: GraphView
  readonly #components: Parts
  readonly #space: SpaceGuard
  readonly #open: Set<OpenRound> = new Set()
  /** The end of the queue of writing tasks. Never rejects. */
  #tail: Promise<unknown> = Promise.resolve()
  #closing: Promise<void> | undefined

  constructor(components: Parts, { dir, space }: { dir: string; space: StoreSpace }) {
    this.#components = components
    this.dir = dir
    this.view = graphViewOf(this)
    const { clock } = components
    this.#space = new SpaceGuard({ clock, onChange: (why) => this.#onSpace(why) }, dir, space)
  }

  async begin(command: string): Promise<void> {
    const { logger, maintenance } = this.#components
    await this.#announce(command)
    try {
      await maintenance.recover()
    } catch (error) {
      // Its rows are all there and can be read; it is sealed when there is space.
      if (codeOf(error) !== 'STORE_FULL') throw error
      logger.warn('a round could not be sealed yet', { dir: this.dir, why: messageOf(error) })
    }
    await this.#space.restock()
  }

  async startRound(options: { atMs: number; vantage: string; command: string }): Promise<RoundWriter> {
    const { clock, logger, facts, maintenance } = this.#components
    const number = await this.#exclusive(async () => {
      await maintenance.sealCutRounds(new Set([...this.#open].map((round) => round.number)))
      const number = await beginRound(facts.store, options)
      await facts.shelf.store(openRoundDir(number))
      facts.openRounds.add(number)
      return number
    })
    const rows = await facts.shelf.store(openRoundDir(number))
    await this.#announce(options.command)
    const round: OpenRound = new OpenRound(
      {
        clock,
        logger,
        facts,
        rows,
        space: (waiting) => this.#space.room(waiting),
        exclusive: (task) => this.#exclusive(task),
        end: async (end) => {
          await this.#exclusive(() => this.#seal(number, end))
          this.#open.delete(round)
        },
      },
      { number },
    )
    this.#open.add(round)
    return round
  }

  rounds(): AsyncGenerator<RoundSummary> {
    return this.#stream(roundSummaries)
  }

  swarms(): AsyncGenerator<SwarmSummary> {
    return this.#stream(swarmSummaries)
  }

  peers(filter: PeerFilter): AsyncGenerator<PeerRecord> {
    // With `expired` the filter lets records without endpoint through, as the overload says.
    return this.#stream((view) => peerRecords(view, filter)) as AsyncGenerator<PeerRecord>
  }

  edges(filter: EdgeFilter): AsyncGenerator<EdgeRecord> {
    return this.#stream((view) => edgeRecords(view, filter)) as AsyncGenerator<EdgeRecord>
  }

  torrent(hash: InfoHash): Promise<TorrentDetails | undefined> {
    return this.#with((view) => torrentDetails(view, hash))
  }

  explain(endpoint: Endpoint): Promise<Explanation | undefined> {
    return this.#with((view) => explain(view, endpoint))
  }

  difference(
    earlier: number,
    later: number,
    options: { swarm?: InfoHash | undefined } = {},
  ): AsyncGenerator<SwarmDifference> {
    return this.#stream((view) => swarmDifferences(view, { earlier, later, ...options }))
  }

  changes(earlier: number, later: number, options: { swarm?: InfoHash | undefined } = {}): AsyncGenerator<PeerChange> {
    return this.#stream((view) => peerChanges(view, { earlier, later, ...options }))
  }

  shared(a: InfoHash, b: InfoHash): AsyncGenerator<SharedPeer> {
    return this.#stream((view) => sharedPeers(view, a, b))
  }

  series(swarm: InfoHash): AsyncGenerator<SeriesPoint> {
    return this.#stream((view) => swarmSeries(view, swarm))
  }

  verify(): AsyncGenerator<Damage> {
    return this.#stream(verifyStore)
  }

  events(): AsyncGenerator<StoreEvent> {
    return this.#stream(storeEvents)
  }

  forget(address: string): Promise<{ endpoints: number }> {
    return this.#exclusive(() => this.#components.maintenance.forget(address))
  }

  expire({ olderThanMs }: { olderThanMs?: number | undefined } = {}): Promise<{ weeks: string[]; addresses: number }> {
    return this.#exclusive(async () => {
      await this.#sealCut()
      return this.#components.maintenance.expire(olderThanMs)
    })
  }

  prune(options: { olderThanMs?: number | undefined; swarm?: InfoHash | undefined }): Promise<PruneReport> {
    return this.#exclusive(async () => {
      await this.#sealCut()
      return this.#components.maintenance.prune(options)
    })
  }

  rebuild(options: { placeOf?: SealOptions['placeOf'] } = {}): Promise<RebuildReport> {
    return this.#exclusive(() => this.#components.maintenance.rebuild(options))
  }

  destroyStudyKey(): Promise<void> {
    return this.#exclusive(() => this.#components.maintenance.destroyStudyKey())
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    const { store, book, shelf } = this.#components.facts
    this.#space.close()
    try {
      for (const round of this.#open) await round.flush()
    } finally {
      for (const round of this.#open) round.stop()
      await this.#tail
      await shelf.close()
      await book.close()
      // While the lock is ours: afterwards the file may be the next holder's.
      await removeHolder(this.dir)
      await store.close()
    }
  }

  async #seal(number: number, { placeOf, ...end }: SealOptions): Promise<void> {
    const { facts, maintenance } = this.#components
    await endRound(facts.store, number, end)
    await maintenance.seal(number, { placeOf })
  }

  #sealCut(): Promise<void> {
    return this.#components.maintenance.sealCutRounds(new Set([...this.#open].map((round) => round.number)))
  }

  /** Tells other openers who we are. Works without, for who has no space for it. */
  async #announce(command: string): Promise<void> {
    const { clock, logger } = this.#components
    try {
      await writeHolder(this.dir, { command, startedMs: clock.now() })
    } catch (error) {
      logger.warn('the holder file could not be written', { dir: this.dir, why: messageOf(error) })
    }
  }

  #onSpace(why: PauseReason | undefined): void {
    const { clock, logger, facts, onPause } = this.#components
    if (why === undefined) logger.info('the store has space again', { dir: this.dir })
    else logger.warn('the store waits for space', { dir: this.dir, why })
    onPause?.(why)
    const act = why === undefined ? ({ kind: 'resumed' } as const) : ({ kind: 'paused', why } as const)
    this.#exclusive(() => logEvent(facts.store, clock.now(), act)).catch((error) =>
      logger.warn('an event could not be logged', { why: messageOf(error) }),
    )
  }

  /** One task at a time over the whole store. A full disk gets the ballast, and the task a second try. */
  #exclusive<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#tail.then(task).catch(async (error) => {
      if (codeOf(error) !== 'STORE_FULL' || !(await this.#space.release())) throw error
      return task()
    })
    this.#tail = done.catch(() => {})
    return done
  }

  #with<T>(ask: (view: View) => Promise<T>): Promise<T> {
    this.#assertOpen()
    return withView(this.#components.facts, ask)
  }

  async *#stream<T>(ask: (view: View) => AsyncGenerator<T>): AsyncGenerator<T> {
    this.#assertOpen()
    yield* streamView(this.#components.facts, ask)
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new SwarmatlasError('WRITE_FAILED', `the store is closed: ${this.dir}`)
  }
}
