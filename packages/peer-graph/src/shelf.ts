/**
 * The LevelDBs of open rounds and sealed weeks, by the names of their directories. Each is opened when first asked for. What
 * is retired is removed when all views that may read it are closed; should the process end before, the next one removes it.
 */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type LevelOptions, LevelStore } from './level-store.ts'
import { storeError } from './store-errors.ts'

export const openRoundName: RegExp = /^open-(\d+)$/
export const sealedWeekName: RegExp = /^sealed-(\d{4}-W\d{2})(?:-\d+)?$/

/** Somebody who reads. */
export type Reader = symbol

export class Shelf {
  readonly #dir: string
  readonly #options: LevelOptions
  readonly #stores: Map<string, Promise<LevelStore>> = new Map()
  readonly #readers: Set<Reader> = new Set()
  /** What is to be removed, and who must end before. */
  readonly #retired: Map<string, { readers: Set<Reader>; removed: Promise<void>; remove: () => void }> = new Map()

  constructor(dir: string, options: LevelOptions) {
    this.#dir = dir
    this.#options = options
  }

  get compression(): boolean {
    return this.#options.compression
  }

  async names(): Promise<string[]> {
    const names = await readdir(this.#dir)
    return names.filter((name) => openRoundName.test(name) || sealedWeekName.test(name))
  }

  store(name: string): Promise<LevelStore> {
    let store = this.#stores.get(name)
    if (store === undefined) {
      store = LevelStore.open(join(this.#dir, name), this.#options)
      this.#stores.set(name, store)
      store.catch(() => this.#stores.delete(name))
    }
    return store
  }

  enter(): Reader {
    const reader = Symbol()
    this.#readers.add(reader)
    return reader
  }

  leave(reader: Reader): void {
    this.#readers.delete(reader)
    for (const { readers, remove } of this.#retired.values()) if (readers.delete(reader) && readers.size === 0) remove()
  }

  /** Resolves when it is removed: at once, or after those who read now. Nobody may ask for it any more. */
  retire(name: string): Promise<void> {
    const known = this.#retired.get(name)
    if (known !== undefined) return known.removed
    let remove = () => {}
    const unread = new Promise<void>((resolve) => {
      remove = resolve
    })
    const removed = unread.then(() => this.#remove(name))
    // Who waits for it gets the error; what stays behind is removed by the next opening.
    removed.catch(() => {})
    this.#retired.set(name, { readers: new Set(this.#readers), removed, remove })
    if (this.#readers.size === 0) remove()
    return removed
  }

  /** Resolves when what is retired and not read any more is removed. */
  async settle(): Promise<void> {
    for (const { readers, removed } of this.#retired.values()) if (readers.size === 0) await removed.catch(() => {})
  }

  async close(): Promise<void> {
    await this.settle()
    const stores = [...this.#stores.values()]
    this.#stores.clear()
    for (const store of stores) await (await store.catch(() => undefined))?.close()
  }

  async #remove(name: string): Promise<void> {
    const store = this.#stores.get(name)
    this.#stores.delete(name)
    try {
      await (await store)?.close()
      await rm(join(this.#dir, name), { recursive: true, force: true })
    } catch (error) {
      throw storeError(this.#dir, error)
    } finally {
      this.#retired.delete(name)
    }
  }
}
