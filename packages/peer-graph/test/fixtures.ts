import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, silentLogger, type Timer } from '@swarmatlas/core'
import { onTestFinished } from 'vitest'
import { openPeerGraph, type PeerGraph, type PeerGraphComponents, type PeerGraphOptions } from '../src/index.ts'
import { startMs } from './facts-of.ts'

export * from './facts-of.ts'

/** A clock that stands still until told. */
export class HandClock implements Clock {
  ms = startMs
  readonly #timers: Set<{ due: number; fire: () => void }> = new Set()

  get pending(): number {
    return this.#timers.size
  }

  now(): number {
    return this.ms
  }

  monotonic(): number {
    return this.ms
  }

  timer(ms: number, fire: () => void): Timer {
    const timer = { due: this.ms + ms, fire }
    this.#timers.add(timer)
    return { cancel: () => this.#timers.delete(timer) }
  }

  advance(ms: number): void {
    this.ms += ms
    for (const timer of [...this.#timers]) {
      if (timer.due > this.ms) continue
      this.#timers.delete(timer)
      timer.fire()
    }
  }
}

export async function temporaryDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'peer-graph-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

export async function openStore(
  options: Partial<PeerGraphOptions> & { clock?: Clock; onPause?: PeerGraphComponents['onPause'] } = {},
): Promise<PeerGraph & { clock: HandClock }> {
  const { clock = new HandClock(), dir = await temporaryDir(), create = true, onPause, ...rest } = options
  const graph = await openPeerGraph({ clock, logger: silentLogger, onPause }, { dir, create, ...rest })
  onTestFinished(() => graph.close().catch(() => {}))
  return Object.assign(graph, { clock: clock as HandClock })
}

export async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of source) items.push(item)
  return items
}

/** All bytes of all files below a directory. */
export async function bytesIn(dir: string): Promise<Buffer> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => readFile(join(entry.parentPath, entry.name)))
  return Buffer.concat(await Promise.all(files))
}
