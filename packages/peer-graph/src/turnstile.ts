/** Lets many in at a time, or one who must be alone. Who came first goes first. */
export class Turnstile {
  #alone: Promise<unknown> = Promise.resolve()
  readonly #inside: Set<Promise<unknown>> = new Set()

  async together<T>(task: () => Promise<T>): Promise<T> {
    for (let before: unknown; before !== this.#alone; ) {
      before = this.#alone
      await before
    }
    const running = task()
    const done = running.catch(() => {})
    this.#inside.add(done)
    done.finally(() => this.#inside.delete(done))
    return running
  }

  alone<T>(task: () => Promise<T>): Promise<T> {
    const running = this.#alone.then(async () => {
      await Promise.all(this.#inside)
      return task()
    })
    this.#alone = running.catch(() => {})
    return running
  }
}
