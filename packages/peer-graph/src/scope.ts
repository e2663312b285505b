/** What a query reads: which rounds hold facts of a torrent, and the ranges of their rows. */
import type { InfoHash } from '@swarmatlas/core'
import type { Facts } from './facts.ts'
import type { Snapshot } from './level-store.ts'
import { type KeyRange, lastNumber, ranges } from './schema.ts'
import type { Torrent } from './torrents.ts'
import type { PeerFilter } from './types.ts'

/** One consistent view of the facts. The address book needs none: what it holds never changes. */
export interface View extends Facts {
  readonly snapshot: Snapshot
}

/** A wire hash in a round that has facts of it. */
export interface WireRound {
  readonly wire: number
  readonly round: number
}

export async function wireRoundsOf({ store, snapshot }: View, torrent: Torrent, round?: number): Promise<WireRound[]> {
  const found: WireRound[] = []
  for (const wire of torrent.wires) {
    for await (const rows of store.rows(ranges.roundsOf(wire), { snapshot })) {
      for (const [key] of rows) {
        if (round === undefined || lastNumber(key) === round) found.push({ wire, round: lastNumber(key) })
      }
    }
  }
  return found
}

export function observationRanges(scope: readonly WireRound[]): KeyRange[] {
  return scope.map(({ round, wire }) => ranges.observations(round, wire))
}

export function visitRanges(scope: readonly WireRound[]): KeyRange[] {
  return scope.map(({ round, wire }) => ranges.visits(round, wire))
}

/** The torrents that a filter names, each with the part of the store to read. */
export async function* scopesOf(
  view: View,
  { swarm, round }: PeerFilter,
): AsyncGenerator<{ torrent: Torrent; scope: WireRound[] }> {
  const number = round === 'latest' ? await lastRound(view) : round
  for await (const torrent of torrentsOf(view, swarm)) {
    const scope = await wireRoundsOf(view, torrent, number)
    if (scope.length > 0) yield { torrent, scope }
  }
}

/** 0 when there is none: rounds are counted from 1. */
async function lastRound({ store, snapshot }: View): Promise<number> {
  const key = await store.lastKey(ranges.rounds, snapshot)
  return key === undefined ? 0 : lastNumber(key)
}

async function* torrentsOf({ torrents, snapshot }: View, swarm: InfoHash | undefined): AsyncGenerator<Torrent> {
  if (swarm === undefined) return yield* torrents.all(snapshot)
  const torrent = await torrents.find(swarm, snapshot)
  if (torrent !== undefined) yield torrent
}
