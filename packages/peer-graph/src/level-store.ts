/** One LevelDB directory: batches in, sorted rows out, errors in the user's terms. */

import { limits } from '@swarmatlas/core'
import { Level } from 'level'
import type { KeyRange } from './schema.ts'
import { isLocked, storeError } from './store-errors.ts'

export type Row = readonly [key: Buffer, value: Buffer]
/** A value of null deletes the key. */
export type Write = readonly [key: Buffer, value: Buffer | null]

type Database = Level<Buffer, Buffer>
/** A consistent view, unmoved by later writes. Close it. */
export type Snapshot = ReturnType<Database['snapshot']>

export interface LevelOptions {
  /** Snappy; off where tests look for bytes in the files. */
  readonly compression: boolean
}

export class LevelStore {
  readonly dir: string
  readonly #db: Database
  #failed = false
  #closed = false
  #reopening: Promise<void> | undefined

  private constructor(dir: string, db: Database) {
    this.dir = dir
    this.#db = db
  }

  /** Rejects with SwarmatlasError, or as `onLocked` decides when another opener has it. */
  static async open(dir: string, { compression }: LevelOptions, onLocked?: () => Promise<never>): Promise<LevelStore> {
    const db: Database = new Level(dir, { keyEncoding: 'buffer', valueEncoding: 'buffer', compression })
    try {
      await db.open()
    } catch (error) {
      if (onLocked !== undefined && isLocked(error)) return onLocked()
      throw storeError(dir, error)
    }
    return new LevelStore(dir, db)
  }

  /** All or nothing, and safe from kill -9 when it resolves; with `sync` from a loss of power too. */
  async write(writes: readonly Write[], { sync = false }: { sync?: boolean } = {}): Promise<void> {
    if (writes.length === 0) return
    try {
      if (this.#failed) await this.#reopen()
      await this.#db.batch(
        writes.map(([key, value]) => (value === null ? { type: 'del', key } : { type: 'put', key, value })),
        { sync },
      )
    } catch (error) {
      this.#failed = true
      throw storeError(this.dir, error)
    }
  }

  async get(key: Buffer, snapshot?: Snapshot): Promise<Buffer | undefined> {
    return (await this.getMany([key], snapshot))[0]
  }

  async getMany(keys: readonly Buffer[], snapshot?: Snapshot): Promise<(Buffer | undefined)[]> {
    if (keys.length === 0) return []
    try {
      await this.#readable()
      return await this.#db.getMany([...keys], { snapshot })
    } catch (error) {
      throw storeError(this.dir, error)
    }
  }

  async isEmpty(): Promise<boolean> {
    const everything = { gte: Buffer.alloc(0), lt: Buffer.from([0xff]) }
    return (await this.lastKey(everything)) === undefined
  }

  /** The greatest key of a range. */
  async lastKey(range: KeyRange, snapshot?: Snapshot): Promise<Buffer | undefined> {
    for await (const rows of this.rows(range, { snapshot, reverse: true, batch: 1 })) return rows[0]?.[0]
    return undefined
  }

  /** The rows of a range in the order of their keys, in batches that are never empty. */
  async *rows(
    range: KeyRange,
    options: { snapshot?: Snapshot | undefined; reverse?: boolean; batch?: number } = {},
  ): AsyncGenerator<Row[]> {
    const { snapshot, reverse = false, batch = limits.storeReadRows } = options
    let iterator: ReturnType<typeof Level.prototype.iterator<Buffer, Buffer>> | undefined
    try {
      await this.#readable()
      // The watermark counts bytes; rows here take some 50, so that the count of rows decides.
      iterator = this.#db.iterator({ ...range, reverse, snapshot, highWaterMarkBytes: batch * 256 })
      for (;;) {
        const rows = await iterator.nextv(batch)
        if (rows.length === 0) return
        yield rows
      }
    } catch (error) {
      throw storeError(this.dir, error)
    } finally {
      await iterator?.close()
    }
  }

  async snapshot(): Promise<Snapshot> {
    try {
      await this.#readable()
      return this.#db.snapshot()
    } catch (error) {
      throw storeError(this.dir, error)
    }
  }

  close(): Promise<void> {
    this.#closed = true
    return this.#db.close()
  }

  async #readable(): Promise<void> {
    if (this.#db.status !== 'open') await this.#reopen()
  }

  /**
   * After a failed write LevelDB's log may end in half a record, behind which later ones would be lost; so the store is
   * opened anew before the next. That fails too while the disk is full, and is tried again by whoever comes next.
   */
  #reopen(): Promise<void> {
    if (this.#closed) return Promise.resolve()
    this.#reopening ??= (async () => {
      await this.#db.close()
      await this.#db.open()
      this.#failed = false
    })().finally(() => {
      this.#reopening = undefined
    })
    return this.#reopening
  }
}
