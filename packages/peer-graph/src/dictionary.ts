/** Numbers for texts that repeat in many rows: wire hashes and tracker URLs. Counted from 1, never reused. */
import { limits } from '@swarmatlas/core'
import type { LevelStore, Snapshot } from './level-store.ts'
import { Lru } from './lru.ts'
import { type KeyRange, lastNumber, numberValue, parseNumberValue } from './schema.ts'

export interface DictionarySpace {
  numberKey(text: string): Buffer
  textKey(number: number): Buffer
  /** All text keys. */
  readonly texts: KeyRange
}

export class Dictionary {
  readonly #store: LevelStore
  readonly #space: DictionarySpace
  readonly #numbers: Lru<string, number> = new Lru(limits.addressCacheEntries)
  readonly #texts: Lru<number, string> = new Lru(limits.addressCacheEntries)

  constructor(store: LevelStore, space: DictionarySpace) {
    this.#store = store
    this.#space = space
  }

  async find(text: string): Promise<number | undefined> {
    const cached = this.#numbers.get(text)
    if (cached !== undefined) return cached
    const value = await this.#store.get(this.#space.numberKey(text))
    if (value === undefined) return undefined
    this.#remember(text, parseNumberValue(value))
    return parseNumberValue(value)
  }

  /** One caller at a time: new texts get their numbers here. */
  async number(text: string): Promise<number> {
    const known = await this.find(text)
    if (known !== undefined) return known
    const last = await this.#store.lastKey(this.#space.texts)
    const number = last === undefined ? 1 : lastNumber(last) + 1
    await this.#store.write([
      [this.#space.numberKey(text), numberValue(number, 4)],
      [this.#space.textKey(number), Buffer.from(text, 'utf8')],
    ])
    this.#remember(text, number)
    return number
  }

  async text(number: number, snapshot?: Snapshot): Promise<string | undefined> {
    const cached = this.#texts.get(number)
    if (cached !== undefined) return cached
    const value = await this.#store.get(this.#space.textKey(number), snapshot)
    if (value !== undefined) this.#remember(value.toString('utf8'), number)
    return value?.toString('utf8')
  }

  #remember(text: string, number: number): void {
    this.#numbers.set(text, number)
    this.#texts.set(number, text)
  }
}
