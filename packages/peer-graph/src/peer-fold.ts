/** One peer, folded from its facts and visits as they go by. */
import { type Evidence, evidenceOf, limits, type Visit } from '@swarmatlas/core'
import type { Batch, FactBatch, TimedVisit } from './batches.ts'
import { type Add, byPeer } from './by-peer.ts'
import { channelCount } from './schema.ts'
import { type Scope, streamsOf } from './scope.ts'
import type { View } from './view.ts'

export type FoldedVisit = TimedVisit & { readonly wire: number }

export class PeerFold {
  readonly peer: number
  readonly rounds: Set<number> = new Set()
  readonly wires: Set<number> = new Set()
  readonly visits: FoldedVisit[] = []
  /** Bits of channel codes. */
  channels = 0
  /** How often it was named. */
  observations = 0
  flags = 0
  /** Infinite while nobody named it and no visit reached it. */
  firstMs: number = Number.POSITIVE_INFINITY
  lastMs: number = Number.NEGATIVE_INFINITY
  /** Who named it, by channel: the same in another round, or under the torrent's other hash, is the same teller. */
  readonly #tellers: Set<number> = new Set()
  /** Networks of its tellers, with their autonomous systems; up to limits.tellersPerPeer. */
  readonly #networks: Map<number, number> = new Map()

  constructor(peer: number) {
    this.peer = peer
  }

  /** Distinct ones. */
  get tellers(): number {
    return this.#tellers.size
  }

  /** By channels and networks as core's evidence.ts has it, which needs addresses for it. */
  get evidence(): Evidence {
    const visited = evidenceOf([], this.visits)
    return visited === 'hearsay' && this.#corroborated() ? 'corroborated' : visited
  }

  /** The latest with a handshake; one that learnt the role goes before one that did not. */
  get lastAnswer(): FoldedVisit | undefined {
    let best: FoldedVisit | undefined
    for (const visit of this.visits) {
      if (!visit.handshaken || (best?.role !== undefined && visit.role === undefined)) continue
      const better = best === undefined || (best.role === undefined && visit.role !== undefined)
      if (better || visit.atMs >= (best as FoldedVisit).atMs) best = visit
    }
    return best
  }

  addFacts(batch: FactBatch, from: number, to: number): void {
    this.rounds.add(batch.of.round)
    this.wires.add(batch.of.wire)
    for (let i = from; i < to; i++) {
      const channel = batch.channels[i] as number
      this.channels |= 1 << channel
      this.observations += batch.counts[i] as number
      this.flags |= batch.flags[i] as number
      this.#seen(batch.firstMs[i] as number, batch.lastMs[i] as number)
      this.#tellers.add((batch.tellers[i] as number) * channelCount + channel)
      const network = batch.networks[i] as number
      if (network !== 0 && this.#networks.size < limits.tellersPerPeer) {
        this.#networks.set(network, batch.asns[i] as number)
      }
    }
  }

  addVisit(visit: TimedVisit, { round, wire }: { round: number; wire: number }): void {
    this.rounds.add(round)
    this.wires.add(wire)
    this.visits.push({ ...visit, wire })
    if (visit.opened) this.#seen(visit.atMs, visit.atMs)
  }

  #seen(firstMs: number, lastMs: number): void {
    if (firstMs < this.firstMs) this.firstMs = firstMs
    if (lastMs > this.lastMs) this.lastMs = lastMs
  }

  #corroborated(): boolean {
    // More than one bit.
    if ((this.channels & (this.channels - 1)) !== 0) return true
    const asns = [...this.#networks.values()]
    if (asns.length < 2) return false
    return asns.includes(0) || asns.some((asn) => asn !== asns[0])
  }
}

const add: Add<PeerFold> = (fold: PeerFold, batch: Batch, from: number, to: number) => {
  if (batch.kind === 'facts') return fold.addFacts(batch, from, to)
  for (let i = from; i < to; i++) fold.addVisit(batch.visits[i] as TimedVisit, batch.of)
}

/** The peers of a scope in batches, by number; of one peer alone where it is given. */
export function peerFolds(view: View, scope: readonly Scope[], peer?: number): AsyncGenerator<PeerFold[]> {
  return byPeer(streamsOf(view, scope, { peer, visits: true }), (number) => new PeerFold(number), add)
}

/** Partial seeds (BEP 21) want no more, but lack pieces: leeches in every count. */
export function countRole(counts: { seeds: number; leeches: number }, role: Visit['role']): void {
  if (role === 'seed') counts.seeds++
  else if (role !== undefined) counts.leeches++
}
