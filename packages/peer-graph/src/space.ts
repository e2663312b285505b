/**
 * Room on the disk: below a floor of free space, or above a size, collectors are made to wait until there is room again. A
 * ballast file keeps space in reserve, so that a round can still be written and sealed on a disk that is full.
 */
import { readdir, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, limits } from '@swarmatlas/core'
import type { PauseReason } from './types.ts'

export const ballastName = 'ballast'

export interface StoreSpace {
  /** Pause while less is free on the store's disk; 0 or undefined: never. */
  readonly floorBytes?: number | undefined
  /** Pause while the store is larger; undefined: never. */
  readonly capBytes?: number | undefined
  /** Size of the file that is given up when the disk is full; 0 or undefined: none. */
  readonly ballastBytes?: number | undefined
}

export interface SpaceGuardComponents {
  readonly clock: Clock
  /** The store paused, or resumed (undefined). */
  onChange(why: PauseReason | undefined): void
}

export class SpaceGuard {
  readonly #dir: string
  readonly #components: SpaceGuardComponents
  readonly #space: StoreSpace
  readonly #waiting: Set<() => void> = new Set()
  #paused: PauseReason | undefined
  #checkedMs = Number.NEGATIVE_INFINITY
  #closed = false

  constructor(components: SpaceGuardComponents, dir: string, space: StoreSpace) {
    this.#components = components
    this.#dir = dir
    this.#space = space
  }

  get paused(): PauseReason | undefined {
    return this.#paused
  }

  /** Makes the ballast where there is space for it and the floor. */
  async restock(): Promise<void> {
    const { ballastBytes = 0, floorBytes = 0 } = this.#space
    const path = join(this.#dir, ballastName)
    const held = await stat(path).catch(() => undefined)
    if (ballastBytes === 0 || held?.size === ballastBytes) return
    if ((await freeBytes(this.#dir)) < floorBytes + 2 * ballastBytes) return
    // Not sparse: its bytes are what is kept in reserve.
    await writeFile(path, Buffer.alloc(ballastBytes)).catch(() => rm(path, { force: true }))
  }

  /** Gives the ballast up: the disk is full. False when there was none. */
  release(): Promise<boolean> {
    return rm(join(this.#dir, ballastName)).then(
      () => true,
      () => false,
    )
  }

  /** Resolves when there is room, when the signal aborts, and when the store closes. */
  async room({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    const { floorBytes = 0, capBytes } = this.#space
    if (floorBytes === 0 && capBytes === undefined) return
    for (;;) {
      await this.#check()
      if (this.#paused === undefined || signal?.aborted || this.#closed) return
      await this.#pause(signal)
    }
  }

  close(): void {
    this.#closed = true
    for (const wake of [...this.#waiting]) wake()
  }

  async #check(): Promise<void> {
    const now = this.#components.clock.monotonic()
    if (now - this.#checkedMs < limits.storeSpaceCheckMs) return
    this.#checkedMs = now
    const { floorBytes = 0, capBytes } = this.#space
    let why: PauseReason | undefined
    if ((await freeBytes(this.#dir)) < floorBytes) why = 'free space'
    else if (capBytes !== undefined && (await sizeOf(this.#dir)) > capBytes) why = 'size'
    if (why === this.#paused) return
    this.#paused = why
    if (why === undefined) await this.restock()
    this.#components.onChange(why)
  }

  async #pause(signal: AbortSignal | undefined): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = () => {
        timer.cancel()
        signal?.removeEventListener('abort', wake)
        this.#waiting.delete(wake)
        resolve()
      }
      const timer = this.#components.clock.timer(limits.storeSpaceCheckMs, wake)
      signal?.addEventListener('abort', wake, { once: true })
      this.#waiting.add(wake)
    })
  }
}

/** Free for this user. */
async function freeBytes(dir: string): Promise<number> {
  const { bavail, bsize } = await statfs(dir)
  return bavail * bsize
}

/** Of all files below a directory. */
export async function sizeOf(dir: string): Promise<number> {
  let bytes = 0
  const entries = await readdir(dir, { recursive: true, withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    // Files come and go while LevelDB compacts.
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name)).catch(() => undefined))?.size ?? 0
  }
  return bytes
}
