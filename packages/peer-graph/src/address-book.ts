/**
 * The address book: which endpoint a peer number stands for. One LevelDB for each ISO week (UTC) in which endpoints were
 * met, so that addresses expire by dropping a directory. An endpoint keeps its number as long as any book holds it; met
 * again in a later week, its row is copied into that week's book.
 */
import { readdir, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { addressBytes, type Clock, type Endpoint, endpointKey, limits } from '@swarmatlas/core'
import { isoWeek, weekEndMs } from './iso-week.ts'
import { type LevelOptions, LevelStore, type NumberedSpace, type Write } from './level-store.ts'
import { Lru } from './lru.ts'
import {
  type AddressEntry,
  addressValue,
  keys,
  lastPeer,
  numberValue,
  parseAddressValue,
  parseNumberValue,
  ranges,
} from './schema.ts'
import { storeError } from './store-errors.ts'
import type { StudyKey } from './study-key.ts'
import { Turnstile } from './turnstile.ts'

export const bookName: RegExp = /^book-(\d{4}-W\d{2})$/
/** A book that is being written anew, and one that was. */
export const unfinishedBookName: RegExp = /^(book-\d{4}-W\d{2})\.(new|old)$/

export interface AddressBookOptions extends LevelOptions {
  /** The store's directory, which holds the books. */
  readonly dir: string
  /** No number below this one is given out. */
  readonly firstFree: number
}

export interface AddressBookComponents {
  readonly clock: Pick<Clock, 'now'>
  readonly key: StudyKey
  /** Makes sure, across crashes, that no number below `firstFree` is given out again. */
  reserve(firstFree: number): Promise<void>
}

const endpoints: NumberedSpace = { keyOf: keys.endpoint, rangeFrom: ranges.endpointsFrom, numberOf: lastPeer }

/** An endpoint to number, with its node id where it spoke as a DHT node. */
export type Met = Pick<AddressEntry, 'endpoint'> & Partial<Pick<AddressEntry, 'nodeId'>>

export class AddressBook {
  readonly #components: AddressBookComponents
  readonly #options: AddressBookOptions
  readonly #weeks: Set<string>
  readonly #open: Map<string, Promise<LevelStore>> = new Map()
  /** Endpoints that stand in the book of `#week`. */
  readonly #met: Lru<string, { number: number; nodeId: string | undefined }> = new Lru(limits.addressCacheEntries)
  readonly #entries: Lru<number, AddressEntry> = new Lru(limits.addressCacheEntries)
  readonly #turnstile: Turnstile = new Turnstile()
  #week = ''
  #next: number
  #reserved: number

  private constructor(components: AddressBookComponents, options: AddressBookOptions, weeks: string[]) {
    this.#components = components
    this.#options = options
    this.#weeks = new Set(weeks)
    this.#next = options.firstFree
    this.#reserved = options.firstFree
  }

  static async open(components: AddressBookComponents, options: AddressBookOptions): Promise<AddressBook> {
    await finishRewriting(options.dir)
    const weeks = (await readdir(options.dir)).flatMap((name) => bookName.exec(name)?.[1] ?? [])
    return new AddressBook(components, options, weeks)
  }

  /**
   * The numbers of endpoints, by endpointKey; new ones are given to those never met. All are in this week's book when it
   * resolves. One caller at a time.
   */
  numbersOf(met: ReadonlyMap<string, Met>): Promise<Map<string, number>> {
    return this.#turnstile.together(() => this.#numbersOf(met))
  }

  async #numbersOf(met: ReadonlyMap<string, Met>): Promise<Map<string, number>> {
    const { key: studyKey } = this.#components
    const week = isoWeek(this.#components.clock.now())
    if (week !== this.#week) this.#met.clear()
    this.#week = week
    this.#weeks.add(week)
    const book = await this.#book(week)

    const numbers = new Map<string, number>()
    const writes: Write[] = []
    const put = (key: string, number: number, entry: AddressEntry) => {
      numbers.set(key, number)
      writes.push([keys.number(entry.endpoint), numberValue(number, 5)])
      writes.push([keys.endpoint(number), addressValue(entry)])
    }

    const unknown = new Map<string, Met>()
    for (const [key, entry] of met) {
      const known = this.#met.get(key)
      if (known === undefined || (entry.nodeId ?? known.nodeId) !== known.nodeId) unknown.set(key, entry)
      else numbers.set(key, known.number)
    }
    for (const [key, { number, entry }] of await find(book, unknown)) {
      const { endpoint, nodeId } = unknown.get(key) as Met
      unknown.delete(key)
      if (nodeId === undefined || nodeId === entry.nodeId) numbers.set(key, number)
      else put(key, number, { ...entry, endpoint, nodeId })
    }
    for (const other of await this.#others(week)) {
      for (const [key, { number, entry }] of await find(other, unknown)) {
        put(key, number, { ...entry, nodeId: unknown.get(key)?.nodeId ?? entry.nodeId })
        unknown.delete(key)
      }
    }
    if (this.#next + unknown.size > this.#reserved) {
      const reserved = this.#next + unknown.size + limits.peerNumberBlock
      await this.#components.reserve(reserved)
      this.#reserved = reserved
    }
    for (const [key, { endpoint, nodeId }] of unknown) {
      put(key, this.#next++, { endpoint, nodeId, pseudonym: studyKey.pseudonym(endpoint) })
    }

    await book.write(writes)
    for (const [key, { endpoint, nodeId }] of met) {
      const number = numbers.get(key) as number
      const known = this.#met.get(key)?.nodeId
      this.#met.set(key, { number, nodeId: nodeId ?? known })
      const entry = nodeId === undefined ? undefined : this.#entries.get(number)
      if (entry !== undefined) this.#entries.set(number, { ...entry, endpoint, nodeId })
    }
    return numbers
  }

  /** What the numbers stand for; those whose book was dropped are missing. */
  entriesOf(numbers: Iterable<number>): Promise<Map<number, AddressEntry>> {
    return this.#turnstile.together(() => this.#entriesOf(numbers))
  }

  async #entriesOf(numbers: Iterable<number>): Promise<Map<number, AddressEntry>> {
    const entries = new Map<number, AddressEntry>()
    const unknown = new Set<number>()
    for (const number of numbers) {
      const entry = this.#entries.get(number)
      if (entry === undefined) unknown.add(number)
      else entries.set(number, entry)
    }
    for (const book of unknown.size === 0 ? [] : await this.#others('')) {
      if (unknown.size === 0) break
      for (const [number, value] of await book.getNumbered([...unknown], endpoints)) {
        unknown.delete(number)
        const entry = parseAddressValue(value)
        entries.set(number, entry)
        this.#entries.set(number, entry)
      }
    }
    return entries
  }

  /** The numbers that an endpoint has, or all endpoints of an address. */
  numbersKnown(of: Endpoint | { readonly address: string }): Promise<Set<number>> {
    return this.#turnstile.together(() => this.#numbersKnown(of))
  }

  async #numbersKnown(of: Endpoint | { readonly address: string }): Promise<Set<number>> {
    const numbers = new Set<number>()
    for (const book of await this.#others('')) {
      if ('port' in of) {
        const value = await book.get(keys.number(of))
        if (value !== undefined) numbers.add(parseNumberValue(value))
        continue
      }
      const address = addressBytes(of.address)
      for await (const rows of book.rows(ranges.portsOf(address))) {
        for (const [key, value] of rows) if (key.length === address.length + 3) numbers.add(parseNumberValue(value))
      }
    }
    return numbers
  }

  /**
   * Removes all endpoints of an address. Each book that has one is written anew, since LevelDB keeps deleted bytes in its
   * files, and the bounds of its files in its manifest. Returns the numbers that stand for nobody now.
   */
  forget(address: string): Promise<Set<number>> {
    return this.#turnstile.alone(async () => {
      const numbers = await this.#numbersKnown({ address })
      this.#met.clear()
      this.#entries.clear()
      for (const week of this.#weeks) {
        const book = await this.#book(week)
        const known = await book.getMany([...numbers].map(keys.endpoint))
        if (known.some((value) => value !== undefined)) await this.#rewrite(week, book, numbers)
      }
      return numbers
    })
  }

  /** Drops the books of weeks that ended before `beforeMs`. Returns how many endpoints each held. */
  expire(beforeMs: number): Promise<Map<string, number>> {
    return this.#turnstile.alone(async () => {
      const dropped = new Map<string, number>()
      for (const week of [...this.#weeks].sort()) {
        if (weekEndMs(week) > beforeMs || week === isoWeek(this.#components.clock.now())) continue
        const book = await this.#book(week)
        let endpoints = 0
        for await (const rows of book.rows(ranges.endpoints)) endpoints += rows.length
        await book.close()
        this.#open.delete(week)
        await removeDir(this.#dirOf(week))
        this.#weeks.delete(week)
        if (week === this.#week) this.#week = ''
        dropped.set(week, endpoints)
      }
      if (dropped.size > 0) {
        this.#met.clear()
        this.#entries.clear()
      }
      return dropped
    })
  }

  /** The directories of all books. */
  dirs(): string[] {
    return [...this.#weeks].map((week) => this.#dirOf(week))
  }

  storeIn(dir: string): Promise<LevelStore> {
    return this.#book(basename(dir).slice('book-'.length))
  }

  async #rewrite(week: string, book: LevelStore, without: ReadonlySet<number>): Promise<void> {
    const dir = this.#dirOf(week)
    await removeDir(`${dir}.new`)
    const anew = await LevelStore.open(`${dir}.new`, this.#options)
    try {
      for await (const rows of book.rows(ranges.numbers)) {
        await anew.write(rows.filter(([, value]) => !without.has(parseNumberValue(value))))
      }
      for await (const rows of book.rows(ranges.endpoints)) {
        await anew.write(rows.filter(([key]) => !without.has(lastPeer(key))))
      }
      await anew.write([[keys.meta('whole'), Buffer.from('1')]], { sync: true })
    } finally {
      await anew.close()
    }
    await book.close()
    this.#open.delete(week)
    try {
      await rename(dir, `${dir}.old`)
      await rename(`${dir}.new`, dir)
    } catch (error) {
      throw storeError(dir, error)
    }
    await removeDir(`${dir}.old`)
  }

  #dirOf(week: string): string {
    return join(this.#options.dir, `book-${week}`)
  }

  async close(): Promise<void> {
    const open = [...this.#open.values()]
    this.#open.clear()
    for (const book of open) await (await book.catch(() => undefined))?.close()
  }

  /** All books but one, the latest week first: most of what is asked for was met of late. */
  #others(week: string): Promise<LevelStore[]> {
    const weeks = [...this.#weeks].filter((other) => other !== week).sort()
    return Promise.all(weeks.reverse().map((other) => this.#book(other)))
  }

  #book(week: string): Promise<LevelStore> {
    let book = this.#open.get(week)
    if (book === undefined) {
      book = LevelStore.open(this.#dirOf(week), this.#options)
      this.#open.set(week, book)
      book.catch(() => this.#open.delete(week))
    }
    return book
  }
}

/** A rewriting that was cut short: the old book is whole until it is renamed, and then the new one is. */
async function finishRewriting(dir: string): Promise<void> {
  const names = new Set(await readdir(dir))
  for (const name of names) {
    const [, book = '', state] = unfinishedBookName.exec(name) ?? []
    if (state === 'new' && !names.has(book) && names.has(`${book}.old`)) {
      await rename(join(dir, name), join(dir, book))
      names.add(book)
    }
  }
  for (const name of names) if (unfinishedBookName.test(name)) await removeDir(join(dir, name))
}

async function removeDir(dir: string): Promise<void> {
  try {
    await rm(dir, { recursive: true, force: true })
  } catch (error) {
    throw storeError(dir, error)
  }
}

/** Those of `wanted` that the book knows. */
async function find(
  book: LevelStore,
  wanted: ReadonlyMap<string, Met>,
): Promise<Map<string, { number: number; entry: AddressEntry }>> {
  const found = new Map<string, { number: number; entry: AddressEntry }>()
  const asked = [...wanted.values()]
  const numbers = await book.getMany(asked.map(({ endpoint }) => keys.number(endpoint)))
  const hits = asked.flatMap(({ endpoint }, i) => {
    const value = numbers[i]
    return value === undefined ? [] : [{ key: endpointKey(endpoint), number: parseNumberValue(value) }]
  })
  const values = await book.getMany(hits.map(({ number }) => keys.endpoint(number)))
  hits.forEach(({ key, number }, i) => {
    // Both rows are written in one batch.
    const value = values[i]
    if (value !== undefined) found.set(key, { number, entry: parseAddressValue(value) })
  })
  return found
}
