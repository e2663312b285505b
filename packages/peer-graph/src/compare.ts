/** Which peers two rounds, or two swarms, have in common. Who is not seen any more need not have left: rounds miss peers. */
import { type InfoHash, SwarmatlasError } from '@swarmatlas/core'
import { peerFolds } from './peer-fold.ts'
import { type Scope, scopeOf, scopesOf } from './scope.ts'
import { namesOf, pseudonymOf, weeksOf } from './tellers.ts'
import type { PeerChange, SharedPeer, SwarmDifference } from './types.ts'
import type { View } from './view.ts'

export interface Comparison {
  readonly earlier: number
  readonly later: number
  readonly swarm?: InfoHash | undefined
}

export async function* swarmDifferences(view: View, comparison: Comparison): AsyncGenerator<SwarmDifference> {
  for await (const { torrent, scope } of compared(view, comparison)) {
    const counts = { firstSeen: 0, noLongerSeen: 0, stayed: 0 }
    for await (const folds of peerFolds(view, scope)) {
      for (const { rounds } of folds) {
        if (rounds.size > 1) counts.stayed++
        else if (rounds.has(comparison.later)) counts.firstSeen++
        else counts.noLongerSeen++
      }
    }
    yield { torrent, ...counts }
  }
}

export async function* peerChanges(view: View, comparison: Comparison): AsyncGenerator<PeerChange> {
  for await (const { torrent, scope } of compared(view, comparison)) {
    for await (const folds of peerFolds(view, scope)) {
      const parties = await partiesOf(
        view,
        scope,
        folds.map(({ peer }) => peer),
      )
      for (const { peer, rounds } of folds) {
        const party = parties.get(peer)
        const once = rounds.has(comparison.later) ? 'first seen' : 'no longer seen'
        if (party !== undefined) yield { torrent, change: rounds.size > 1 ? 'stayed' : once, ...party }
      }
    }
  }
}

export async function* sharedPeers(view: View, a: InfoHash, b: InfoHash): AsyncGenerator<SharedPeer> {
  const torrents = [await view.torrents.find(a, view.snapshot), await view.torrents.find(b, view.snapshot)]
  const [left, right] = torrents
  if (left === undefined || right === undefined) return
  const own = new Set(left.wires)
  const scope = [...(await scopeOf(view, left)), ...(await scopeOf(view, right))]
  for await (const folds of peerFolds(view, scope)) {
    const both = folds.filter(({ wires }) => {
      const ofLeft = [...wires].filter((wire) => own.has(wire)).length
      return ofLeft > 0 && ofLeft < wires.size
    })
    yield* (
      await partiesOf(
        view,
        scope,
        both.map(({ peer }) => peer),
      )
    ).values()
  }
}

async function* compared(
  view: View,
  { earlier, later, swarm }: Comparison,
): AsyncGenerator<{ torrent: InfoHash; scope: Scope[] }> {
  for (const number of [earlier, later]) {
    if ((await view.round(number)) === undefined) throw new SwarmatlasError('BAD_OPTION', `there is no round ${number}`)
  }
  for await (const { torrent, scope } of scopesOf(view, { swarm })) {
    const both = scope.filter(({ round }) => round === earlier || round === later)
    if (both.length > 0) yield { torrent: torrent.wireHashes[0] as InfoHash, scope: both }
  }
}

async function partiesOf(
  view: View,
  scope: readonly Scope[],
  peers: readonly number[],
): Promise<Map<number, SharedPeer>> {
  const names = await namesOf(view, weeksOf(scope), peers)
  const parties = new Map<number, SharedPeer>()
  for (const peer of peers) {
    const pseudonym = pseudonymOf(peer, names)
    if (pseudonym === null) continue
    const endpoint = names.addresses.get(peer)?.endpoint ?? null
    parties.set(peer, { endpoint, pseudonym, place: names.identities.get(peer)?.place ?? null })
  }
  return parties
}
