/** What a query reads: which rounds hold facts of a torrent, and where. */
import { type InfoHash, SwarmatlasError } from '@swarmatlas/core'
import type { Batch } from './batches.ts'
import { fromJson } from './json-row.ts'
import { openFacts, openVisits } from './open-rows.ts'
import type { Holding } from './rounds.ts'
import { channelCount, keys, lastNumber, ranges, type WireRoundKey } from './schema.ts'
import { type SealedPart, sealedFacts, sealedVisits } from './sealed-blocks.ts'
import { damagedError } from './store-errors.ts'
import type { Torrent } from './torrents.ts'
import type { PeerFilter } from './types.ts'
import type { OpenRows, View } from './view.ts'

/** A wire hash in a round that has facts of it. */
export type Scope = WireRoundKey & ({ readonly rows: OpenRows } | { readonly sealed: SealedPart })

/** By wire hash, then by round. */
export async function scopeOf(
  view: View,
  { wires }: Pick<Torrent, 'wires'>,
  wanted: (round: number) => boolean = () => true,
): Promise<Scope[]> {
  const found: Scope[] = []
  for (const wire of wires) {
    for await (const rows of view.store.rows(ranges.roundsOf(wire), { snapshot: view.snapshot })) {
      for (const [key] of rows) {
        const round = lastNumber(key)
        if (wanted(round)) found.push(await sealedScope(view, { wire, round }))
      }
    }
    for (const [round, rows] of view.open) {
      // Sealed between two glances: its blocks are in the scope already.
      if (!wanted(round) || (await view.round(round))?.counts !== undefined) continue
      if ((await rows.store.get(keys.wireHere(wire), rows.snapshot)) !== undefined) found.push({ wire, round, rows })
    }
  }
  return found
}

export async function sealedScope(view: View, of: WireRoundKey): Promise<Scope> {
  const row = await view.round(of.round)
  const holding = await view.store.get(keys.holding(of), view.snapshot)
  if (row?.week === undefined || holding === undefined) {
    throw damagedError(view.store.dir, `what round ${of.round} holds is not known`)
  }
  const sealed: SealedPart = {
    of,
    week: await view.shelf.store(row.week),
    holding: fromJson<Holding>(holding, 'a round'),
    sameKey: row.key === view.key.id,
  }
  return { ...of, sealed }
}

export interface Reading {
  /** Of this peer alone. */
  readonly peer?: number | undefined
  /** Over this channel alone. */
  readonly channel?: number | undefined
  /** Visits, too. */
  readonly visits: boolean
}

export function streamsOf(
  view: View,
  scope: readonly Scope[],
  { peer, channel, visits }: Reading,
): AsyncGenerator<Batch>[] {
  const channels = channel === undefined ? Array.from({ length: channelCount }, (_, code) => code) : [channel]
  return scope.flatMap((part): AsyncGenerator<Batch>[] => {
    if ('rows' in part) {
      const facts = openFacts(part.rows, part, { peer, resolve: view })
      return visits ? [facts, openVisits(part.rows, part, peer)] : [facts]
    }
    const facts = channels
      .filter((code) => (part.sealed.holding.blocks[code] ?? 0) > 0)
      .map((code): AsyncGenerator<Batch> => sealedFacts(part.sealed, code, view.trackers, peer))
    return visits ? [...facts, sealedVisits(part.sealed, peer)] : facts
  })
}

/** The torrents that a filter names, each with the part of the store to read. */
export async function* scopesOf(
  view: View,
  { swarm, round, sinceMs, untilMs }: Pick<PeerFilter, 'swarm' | 'round' | 'sinceMs' | 'untilMs'>,
): AsyncGenerator<{ torrent: Torrent; scope: Scope[] }> {
  const number = round === 'latest' ? await lastRound(view) : round
  if (number !== undefined && !Number.isInteger(number))
    throw new SwarmatlasError('BAD_OPTION', 'rounds are counted 1, 2, 3')
  for await (const torrent of torrentsOf(view, swarm)) {
    let scope = await scopeOf(view, torrent, (other) => number === undefined || other === number)
    if (sinceMs !== undefined || untilMs !== undefined) scope = await within(view, scope, sinceMs, untilMs)
    if (scope.length > 0) yield { torrent, scope }
  }
}

/** Without rounds that ended before, or began after: what they hold cannot be of that time. */
async function within(view: View, scope: Scope[], sinceMs = 0, untilMs = Number.POSITIVE_INFINITY): Promise<Scope[]> {
  const rounds = new Set<number>()
  for (const { round } of scope) {
    const row = await view.round(round)
    if (row !== undefined && row.startedMs <= untilMs && (row.endedMs ?? untilMs) >= sinceMs) rounds.add(round)
  }
  return scope.filter(({ round }) => rounds.has(round))
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
