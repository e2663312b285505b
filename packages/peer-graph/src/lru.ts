/** A map that holds the `max` entries used last. */
export class Lru<K, V> {
  readonly #max: number
  readonly #entries: Map<K, V> = new Map()

  constructor(max: number) {
    this.#max = max
  }

  get(key: K): V | undefined {
    const value = this.#entries.get(key)
    if (value !== undefined) {
      // A Map iterates in the order of insertion: used last, evicted last.
      this.#entries.delete(key)
      this.#entries.set(key, value)
    }
    return value
  }

  set(key: K, value: V): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    if (this.#entries.size > this.#max) this.#entries.delete(this.#entries.keys().next().value as K)
  }

  clear(): void {
    this.#entries.clear()
  }
}
