/** One LevelDB directory: batches in, sorted rows out, each with a checksum; errors in the user's terms. */
import { limits } from '@swarmatlas/core'
import { Level } from 'level'
import { crc32c } from './checksum.ts'
import type { KeyRange } from './schema.ts'
import { damagedError, isLocked, storeError } from './store-errors.ts'
import { damagedTables } from './table-file.ts'

export type Row = readonly [key: Buffer, value: Buffer]
/** A value of null deletes the key. */
export type Write = readonly [key: Buffer, value: Buffer | null]

/** `level` leaves out of its types what only its implementation for Node has. */
type Database = Level<Buffer, Buffer> & { compactRange(start: Buffer, end: Buffer): Promise<void> }
/** A consistent view, unmoved by later writes. Close it. */
export type Snapshot = ReturnType<Database['snapshot']>

export interface LevelOptions {
  /** Of blocks and files; off where tests look for bytes in the files. */
  readonly compression: boolean
  /** Called before each batch; what it throws is taken for LevelDB's own failure. Tests let the n-th write fail with it. */
  readonly onBatch?: ((dir: string) => void) | undefined
}

/** Keys that end in a number. */
export interface NumberedSpace {
  keyOf(number: number): Buffer
  /** From the number to the end of the space. */
  rangeFrom(number: number): KeyRange
  numberOf(key: Buffer): number
}

const CHECKSUM_BYTES = 4

export class LevelStore {
  readonly dir: string
  readonly #db: Database
  readonly #onBatch: LevelOptions['onBatch']
  #failed = false
  #closed = false
  #reopening: Promise<void> | undefined

  private constructor(dir: string, db: Database, onBatch: LevelOptions['onBatch']) {
    this.dir = dir
    this.#db = db
    this.#onBatch = onBatch
  }

  /** Rejects with SwarmatlasError, or as `onLocked` decides when another opener has it. */
  static async open(dir: string, options: LevelOptions, onLocked?: () => Promise<never>): Promise<LevelStore> {
    const { compression, onBatch } = options
    // LevelDB itself would leave out what it cannot find in a damaged file, or end the process.
    for await (const { path, what } of damagedTables(dir)) throw damagedError(path, what)
    const db = new Level<Buffer, Buffer>(dir, {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
      compression,
      cacheSize: limits.storeCacheBytes,
      maxOpenFiles: limits.storeOpenFiles,
    } as object) as Database
    try {
      await db.open()
    } catch (error) {
      if (onLocked !== undefined && isLocked(error)) return onLocked()
      throw storeError(dir, error)
    }
    return new LevelStore(dir, db, onBatch)
  }

  /** All or nothing, and safe from kill -9 when it resolves; with `sync` from a loss of power too. */
  async write(writes: readonly Write[], { sync = false }: { sync?: boolean } = {}): Promise<void> {
    if (writes.length === 0) return
    try {
      if (this.#failed) await this.#reopen()
      this.#onBatch?.(this.dir)
      await this.#db.batch(
        writes.map(([key, value]) =>
          value === null ? { type: 'del', key } : { type: 'put', key, value: sealed(key, value) },
        ),
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
      const values = await this.#db.getMany([...keys], { snapshot })
      return values.map((value, i) => value && this.#checked(keys[i] as Buffer, value))
    } catch (error) {
      throw storeError(this.dir, error)
    }
  }

  /**
   * The values of numbers in an ordered space. Where most numbers of a stretch are asked for, the stretch is read through,
   * which takes a fraction of the time.
   */
  async getNumbered(
    numbers: readonly number[],
    { keyOf, rangeFrom, numberOf }: NumberedSpace,
  ): Promise<Map<number, Buffer>> {
    const found = new Map<number, Buffer>()
    const asked = [...numbers].sort((a, b) => a - b)
    const [first = 0, last = 0] = [asked[0], asked.at(-1)]
    if (asked.length < 64 || last - first > 2 * asked.length) {
      const values = await this.getMany(asked.map(keyOf))
      values.forEach((value, i) => {
        if (value !== undefined) found.set(asked[i] as number, value)
      })
      return found
    }
    const wanted = new Set(asked)
    for await (const rows of this.rows(rangeFrom(first), { batch: Math.min(last - first + 1, limits.storeReadRows) })) {
      for (const [key, value] of rows) {
        const number = numberOf(key)
        if (number > last) return found
        if (wanted.has(number)) found.set(number, value)
      }
    }
    return found
  }

  /** A value with a checksum, or as stores before schema 2 wrote it, without. */
  async getAged(key: Buffer): Promise<Buffer | undefined> {
    await this.#readable()
    const value = await this.#db.get(key)
    if (value === undefined || value.length <= CHECKSUM_BYTES) return value
    const split = value.length - CHECKSUM_BYTES
    const matches = value.readUInt32BE(split) === crc32c(value.subarray(0, split), crc32c(key))
    return matches ? value.subarray(0, split) : value
  }

  async isEmpty(): Promise<boolean> {
    await this.#readable()
    return (await this.#db.keys({ limit: 1 }).all()).length === 0
  }

  /** The greatest key of a range. */
  async lastKey(range: KeyRange, snapshot?: Snapshot): Promise<Buffer | undefined> {
    for await (const rows of this.rows(range, { snapshot, reverse: true, batch: 1 })) return rows[0]?.[0]
    return undefined
  }

  /** The rows of a range in the order of their keys, in batches that are never empty. */
  async *rows(
    range: KeyRange,
    options: { snapshot?: Snapshot | undefined; reverse?: boolean; batch?: number; bytes?: number } = {},
  ): AsyncGenerator<Row[]> {
    const { snapshot, reverse = false, batch = limits.storeReadRows } = options
    // The watermark counts bytes; rows take some 50, so that the count of rows decides.
    const { bytes = batch * 256 } = options
    let iterator: ReturnType<typeof Level.prototype.iterator<Buffer, Buffer>> | undefined
    try {
      await this.#readable()
      iterator = this.#db.iterator({ ...range, reverse, snapshot, highWaterMarkBytes: bytes })
      for (;;) {
        const rows = await iterator.nextv(batch)
        if (rows.length === 0) return
        yield rows.map(([key, value]) => [key, this.#checked(key, value)])
      }
    } catch (error) {
      throw storeError(this.dir, error)
    } finally {
      await iterator?.close()
    }
  }

  /** Deletes a range in batches. The space comes back with `compact`. */
  async clear(range: KeyRange): Promise<void> {
    for await (const rows of this.rows(range)) await this.write(rows.map(([key]) => [key, null]))
  }

  /** Rewrites the files of a range without what was deleted. */
  async compact({ gte, lt }: KeyRange): Promise<void> {
    try {
      await this.#db.compactRange(gte, lt)
    } catch (error) {
      throw storeError(this.dir, error)
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

  #checked(key: Buffer, value: Buffer): Buffer {
    const split = value.length - CHECKSUM_BYTES
    if (split < 0 || value.readUInt32BE(split) !== crc32c(value.subarray(0, split), crc32c(key))) {
      throw damagedError(this.dir, 'a row does not match its checksum')
    }
    return value.subarray(0, split)
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

/** The value with the checksum of key and value behind it. */
function sealed(key: Buffer, value: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(value.length + CHECKSUM_BYTES)
  bytes.set(value)
  bytes.writeUInt32BE(crc32c(value, crc32c(key)), value.length)
  return bytes
}
