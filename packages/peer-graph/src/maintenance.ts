/** What is done to the store besides writing rounds. All of it runs alone, between writes, and is logged. */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, canonicalAddress, type InfoHash, type Logger, limits, SwarmatlasError } from '@swarmatlas/core'
import type { Facts } from './facts.ts'
import { forgetIdentities, pruneRounds } from './prune.ts'
import { rebuild, rebuildingKey } from './rebuild.ts'
import { allRounds } from './rounds.ts'
import { sealRound } from './seal.ts'
import { sealedWeekName } from './shelf.ts'
import { sizeOf } from './space.ts'
import { storeError } from './store-errors.ts'
import { logEvent } from './store-events.ts'
import type { PruneReport, RebuildReport, SealOptions } from './types.ts'
import { roundOfDir } from './view.ts'

export interface MaintenanceComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly facts: Facts
}

export class Maintenance {
  readonly dir: string
  readonly #components: MaintenanceComponents

  constructor(components: MaintenanceComponents, dir: string) {
    this.#components = components
    this.dir = dir
  }

  /** After opening: ends what a crash cut short, removes directories that nothing points to, and finds open rounds. */
  async recover(): Promise<void> {
    const { facts } = this.#components
    const weeks = new Set<string>()
    const begun: number[] = []
    const open = new Set<number>()
    for await (const [number, { week, counts }] of allRounds(facts.store)) {
      if (counts === undefined) open.add(number)
      if (week !== undefined) weeks.add(week)
      if (week !== undefined && counts === undefined) begun.push(number)
    }
    for (const name of await facts.shelf.names()) {
      const round = roundOfDir(name)
      if (round === undefined ? weeks.has(name) : open.has(round)) continue
      await rm(join(this.dir, name), { recursive: true, force: true }).catch((error) => {
        throw storeError(this.dir, error)
      })
    }
    for (const round of open) facts.openRounds.add(round)
    for (const round of begun) await this.seal(round, {})
    if ((await facts.store.get(rebuildingKey)) !== undefined) await rebuild(facts, {})
  }

  /** Rounds that a crash cut short become blocks, too. */
  async sealCutRounds(writing: ReadonlySet<number>): Promise<void> {
    for (const round of [...this.#components.facts.openRounds]) if (!writing.has(round)) await this.seal(round, {})
  }

  seal(round: number, { placeOf }: Pick<SealOptions, 'placeOf'>): Promise<void> {
    const { facts, clock } = this.#components
    return sealRound(facts, round, { nowMs: clock.now(), weekDir: (week) => this.#weekDir(week), placeOf })
  }

  async forget(text: string): Promise<{ endpoints: number }> {
    const { facts } = this.#components
    const address = canonicalAddress(text)
    if (address === undefined) throw new SwarmatlasError('BAD_OPTION', 'what to forget is no IP address')
    const numbers = await facts.book.forget(address)
    if (numbers.size > 0) {
      await forgetIdentities(facts, numbers, (dir) => this.#anew(dir))
      await this.#log({ kind: 'forgotten', endpoints: numbers.size })
    }
    return { endpoints: numbers.size }
  }

  async expire(olderThanMs: number = limits.addressRetentionMs): Promise<{ weeks: string[]; addresses: number }> {
    const { facts, clock } = this.#components
    // Place and pseudonym of an open round's peers are not sealed yet: their weeks have to wait.
    let beforeMs = clock.now() - olderThanMs
    for await (const [, { startedMs, counts }] of allRounds(facts.store)) {
      if (counts === undefined) beforeMs = Math.min(beforeMs, startedMs)
    }
    const dropped = await facts.book.expire(beforeMs)
    const weeks = [...dropped.keys()]
    const addresses = [...dropped.values()].reduce((sum, count) => sum + count, 0)
    if (weeks.length > 0) await this.#log({ kind: 'expired', weeks, addresses })
    return { weeks, addresses }
  }

  async prune({
    olderThanMs,
    swarm,
  }: {
    olderThanMs?: number | undefined
    swarm?: InfoHash | undefined
  }): Promise<PruneReport> {
    const { facts, clock } = this.#components
    const torrent = swarm === undefined ? undefined : await facts.torrents.find(swarm)
    if (swarm !== undefined && torrent === undefined) return { rounds: [], freedBytes: 0 }
    const before = await sizeOf(this.dir)
    const rounds = await pruneRounds(facts, {
      beforeMs: olderThanMs === undefined ? undefined : clock.now() - olderThanMs,
      torrent,
      newWeekDir: (dir) => this.#anew(dir),
    })
    if (rounds.length > 0) {
      await rebuild(facts, {})
      await this.#log({ kind: 'pruned', rounds, swarm: swarm ?? null })
      await facts.shelf.settle()
    }
    return { rounds, freedBytes: Math.max(0, before - (await sizeOf(this.dir))) }
  }

  async rebuild({ placeOf }: { placeOf?: SealOptions['placeOf'] }): Promise<RebuildReport> {
    const { facts } = this.#components
    const report = await rebuild(facts, { placeOf })
    await this.#log({ kind: 'rebuilt', rounds: report.rounds, notRedone: report.notRedone })
    return report
  }

  async destroyStudyKey(): Promise<void> {
    await this.#components.facts.key.destroy()
    await this.#log({ kind: 'study key destroyed' })
  }

  #log(act: Parameters<typeof logEvent>[2]): Promise<void> {
    const { facts, clock } = this.#components
    return logEvent(facts.store, clock.now(), act)
  }

  async #weeks(): Promise<Set<string>> {
    const weeks = new Set<string>()
    for await (const [, { week }] of allRounds(this.#components.facts.store)) if (week !== undefined) weeks.add(week)
    return weeks
  }

  /** Where rounds sealed in a week go. */
  async #weekDir(week: string): Promise<string> {
    for (const dir of await this.#weeks()) if (sealedWeekName.exec(dir)?.[1] === week) return dir
    return this.#freeWeekDir(week)
  }

  #anew(dir: string): Promise<string> {
    return this.#freeWeekDir(sealedWeekName.exec(dir)?.[1] as string)
  }

  /** A directory that is not there, nor was a moment ago. */
  async #freeWeekDir(week: string): Promise<string> {
    const names = new Set([...(await readdir(this.dir)), ...(await this.#weeks())])
    for (let n = 1; ; n++) {
      const dir = n === 1 ? `sealed-${week}` : `sealed-${week}-${n}`
      if (!names.has(dir)) return dir
    }
  }
}
