/** Why we know of an endpoint: who told of it, when, in which swarm, and who had told of them. */
import { type Endpoint, type InfoHash, limits } from '@swarmatlas/core'
import { decodeSeen } from './derive.ts'
import { type EdgeFold, edgeFolds, edgesOf } from './edges.ts'
import { type PeerFold, peerFolds } from './peer-fold.ts'
import { recordsOf } from './peers.ts'
import { keys } from './schema.ts'
import { type Scope, scopeOf } from './scope.ts'
import type { Torrent } from './torrents.ts'
import type { Explanation, TorrentExplanation } from './types.ts'
import type { View } from './view.ts'

export async function explain(view: View, endpoint: Endpoint): Promise<Explanation | undefined> {
  // One number, unless books disagree after a clock jumped.
  for (const peer of await view.book.numbersKnown(endpoint)) {
    const torrents: TorrentExplanation[] = []
    for await (const torrent of view.torrents.all(view.snapshot)) {
      const explained = await explainIn(view, torrent, peer)
      if (explained !== undefined) torrents.push(explained)
    }
    if (torrents.length > 0) return { endpoint, pseudonym: view.key.pseudonym(endpoint), torrents }
  }
  return undefined
}

async function explainIn(view: View, torrent: Torrent, peer: number): Promise<TorrentExplanation | undefined> {
  let [firstRound, lastRound] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  const values = await view.store.getMany(
    torrent.wires.map((wire) => keys.seen(wire, peer)),
    view.snapshot,
  )
  for (const value of values) {
    if (value === undefined) continue
    const seen = decodeSeen(value)
    firstRound = Math.min(firstRound, seen.firstRound)
    lastRound = Math.max(lastRound, seen.lastRound)
  }
  const possible = await scopeOf(
    view,
    torrent,
    (round) => view.open.has(round) || (round >= firstRound && round <= lastRound),
  )
  const rounds = [...new Set(possible.map(({ round }) => round))].sort((a, b) => a - b)
  const read = new Set([...rounds.slice(0, 1), ...rounds.slice(1 - limits.explainRounds)])
  const scope = possible.filter(({ round }) => read.has(round))
  for await (const folds of peerFolds(view, scope, peer)) {
    const [fold] = folds as [PeerFold]
    const [record] = await recordsOf(view, { torrent, scope }, [fold])
    if (record === undefined) return undefined
    const of = torrent.wireHashes[0] as InfoHash
    const told = await toldOf(view, scope, peer)
    const chain = await chainOf(
      view,
      scope.filter(({ round }) => round === Math.min(...fold.rounds)),
      told,
    )
    return {
      torrent: of,
      record,
      firstRound: Math.min(firstRound, ...fold.rounds),
      lastRound: Math.max(lastRound, ...fold.rounds),
      roundsRead: [...read],
      tellers: await edgesOf(view, scope, of, told),
      chain: await edgesOf(view, scope, of, chain),
    }
  }
  return undefined
}

/** Who told of a peer, the first one first. */
async function toldOf(view: View, scope: readonly Scope[], peer: number): Promise<EdgeFold[]> {
  const told: EdgeFold[] = []
  for await (const folds of edgeFolds(view, scope, { peer })) told.push(...folds)
  return told.sort((a, b) => a.row.firstMs - b.row.firstMs)
}

async function chainOf(view: View, scope: readonly Scope[], told: readonly EdgeFold[]): Promise<EdgeFold[]> {
  const chain: EdgeFold[] = []
  const met = new Set<number>()
  for (let [first] = told; first !== undefined && chain.length < limits.explainDepth; ) {
    chain.push(first)
    met.add(first.peer)
    // DHT nodes and trackers are asked because the network names them: the chain ends there.
    if (first.teller.kind !== 'peer' || met.has(first.teller.number)) break
    const next: readonly EdgeFold[] = await toldOf(view, scope, first.teller.number)
    first = next[0]
  }
  return chain
}
