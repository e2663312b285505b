/** The peer graph: opens the store, hands out rounds to write, and answers questions from snapshots. */
import { type Clock, type InfoHash, type Logger, messageOf } from '@swarmatlas/core'
import { AddressBook } from './address-book.ts'
import { edgeRecords } from './edges.ts'
import { createFacts, type Facts } from './facts.ts'
import { lockedError, removeHolder, writeHolder } from './holder.ts'
import { fromJson, toJson } from './json-row.ts'
import { checkSchema, factsDir, prepareDirectory } from './layout.ts'
import { LevelStore } from './level-store.ts'
import { peerRecords } from './peers.ts'
import { OpenRound } from './round-writer.ts'
import { beginRound, endRound, roundSummaries } from './rounds.ts'
import { keys } from './schema.ts'
import type { View } from './scope.ts'
import { swarmSummaries, torrentDetails } from './swarms.ts'
import type {
  EdgeRecord,
  PeerFilter,
  PeerGraph,
  PeerRecord,
  RoundSummary,
  RoundWriter,
  SwarmSummary,
  TorrentDetails,
} from './types.ts'

export interface PeerGraphComponents {
  readonly clock: Clock
  readonly logger: Logger
}

export interface PeerGraphOptions {
  readonly dir: string
  /** Makes the store when there is none; else that is STORE_NOT_FOUND. */
  readonly create: boolean
  /** What the next opener is told about this one; a round that is started replaces it. `swarmatlas` when undefined. */
  readonly command?: string | undefined
  /** Snappy in all files; true when undefined. Off where tests look for bytes in the files. */
  readonly compression?: boolean | undefined
}

/**
 * Rejects with STORE_NOT_FOUND, STORE_LOCKED (naming the holder), STORE_SCHEMA, STORE_CORRUPT, STORE_FULL, or
 * WRITE_FAILED (permissions). The returned object's methods reject with the last three.
 */
export async function openPeerGraph(components: PeerGraphComponents, options: PeerGraphOptions): Promise<PeerGraph> {
  const { clock, logger } = components
  const { dir, create, command = 'swarmatlas', compression = true } = options
  await prepareDirectory(dir, create)
  const store = await LevelStore.open(factsDir(dir), { compression }, async () => {
    throw await lockedError(dir)
  })
  try {
    await checkSchema(store)
    const reservedKey = keys.meta('peer numbers reserved below')
    const reserved = await store.get(reservedKey)
    const book = await AddressBook.open(
      {
        clock,
        // Synced: a number must never be given twice, not even when power fails.
        reserve: (firstFree) => store.write([[reservedKey, toJson(firstFree)]], { sync: true }),
      },
      { dir, compression, firstFree: reserved === undefined ? 1 : fromJson<number>(reserved, 'a counter') },
    )
    const graph = new LevelPeerGraph({ clock, logger, facts: createFacts(store, book) }, { dir })
    await graph.announce(command)
    return graph
  } catch (error) {
    await store.close()
    throw error
  }
}

class LevelPeerGraph implements PeerGraph {
  readonly dir: string
  readonly #components: PeerGraphComponents & { readonly facts: Facts }
  readonly #open: Set<OpenRound> = new Set()
  /** The end of the queue of writing tasks. Never rejects. */
  #tail: Promise<unknown> = Promise.resolve()
  #closing: Promise<void> | undefined

  constructor(components: PeerGraphComponents & { readonly facts: Facts }, { dir }: { dir: string }) {
    this.#components = components
    this.dir = dir
  }

  /** Tells other openers who we are. Works without, for who has no space for it. */
  async announce(command: string): Promise<void> {
    const { clock, logger } = this.#components
    try {
      await writeHolder(this.dir, { command, startedMs: clock.now() })
    } catch (error) {
      logger.warn('the holder file could not be written', { dir: this.dir, why: messageOf(error) })
    }
  }

  async startRound(options: { atMs: number; vantage: string; command: string }): Promise<RoundWriter> {
    const { clock, logger, facts } = this.#components
    const number = await this.#exclusive(() => beginRound(facts.store, options))
    await this.announce(options.command)
    const round: OpenRound = new OpenRound(
      {
        clock,
        logger,
        facts,
        exclusive: (task) => this.#exclusive(task),
        end: async (end) => {
          await this.#with((view) => this.#exclusive(() => endRound(view, number, end)))
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
    return this.#stream((view) => peerRecords(view, filter))
  }

  edges(filter: PeerFilter): AsyncGenerator<EdgeRecord> {
    return this.#stream((view) => edgeRecords(view, filter))
  }

  torrent(hash: InfoHash): Promise<TorrentDetails | undefined> {
    return this.#with((view) => torrentDetails(view, hash))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    const { store, book } = this.#components.facts
    try {
      for (const round of this.#open) await round.flush()
    } finally {
      for (const round of this.#open) round.stop()
      await this.#tail
      await book.close()
      // While the lock is ours: afterwards the file may be the next holder's.
      await removeHolder(this.dir)
      await store.close()
    }
  }

  #exclusive<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#tail.then(task)
    this.#tail = done.catch(() => {})
    return done
  }

  async #with<T>(ask: (view: View) => Promise<T>): Promise<T> {
    const snapshot = await this.#components.facts.store.snapshot()
    try {
      return await ask({ ...this.#components.facts, snapshot })
    } finally {
      await snapshot.close()
    }
  }

  async *#stream<T>(ask: (view: View) => AsyncGenerator<T>): AsyncGenerator<T> {
    const snapshot = await this.#components.facts.store.snapshot()
    try {
      yield* ask({ ...this.#components.facts, snapshot })
    } finally {
      await snapshot.close()
    }
  }
}
