/** One peer, folded from its rows as they go by in the order of their keys. */
import { type Channel, limits } from '@swarmatlas/core'
import type { Row } from './level-store.ts'
import { decodeRow } from './observation-row.ts'
import { isVisitKey, parseObservationKey, parseVisitKey, saidOf, type TellerRef } from './schema.ts'
import { decodeVisit, type VisitRow } from './visit-row.ts'

export interface WitnessRef {
  readonly channel: Channel
  readonly teller: TellerRef
}

export type FoldedVisit = VisitRow & { readonly atMs: number; readonly wire: number }

export class PeerFold {
  readonly peer: number
  readonly rounds: Set<number> = new Set()
  readonly wires: Set<number> = new Set()
  readonly visits: FoldedVisit[] = []
  /** Up to `tellersPerPeer` of each channel, so that no channel's crowd hides another's word. */
  readonly witnesses: Map<Channel, WitnessRef[]> = new Map()
  tellers = 0
  observations = 0
  flags = 0
  /** Infinite while nobody named it and no visit reached it. */
  firstMs: number = Number.POSITIVE_INFINITY
  lastMs: number = Number.NEGATIVE_INFINITY
  #said: Buffer | undefined

  constructor(peer: number) {
    this.peer = peer
  }

  add([key, value]: Row): void {
    if (isVisitKey(key)) this.#addVisit(key, value)
    else this.#addObservation(key, value)
  }

  #addVisit(key: Buffer, value: Buffer): void {
    const { round, wire, atMs } = parseVisitKey(key)
    const visit = { ...decodeVisit(value), atMs, wire }
    this.rounds.add(round)
    this.wires.add(wire)
    this.visits.push(visit)
    if (visit.opened) this.#seen(atMs, atMs)
  }

  #addObservation(key: Buffer, value: Buffer): void {
    const { round, wire, channel, teller } = parseObservationKey(key)
    const row = decodeRow(value)
    this.rounds.add(round)
    this.wires.add(wire)
    this.observations += row.count
    this.flags |= row.flags
    this.#seen(row.firstMs, row.lastMs)
    // The same word of the same teller, in another round or under the torrent's other hash, comes right after.
    const said = saidOf(key)
    if (this.#said?.equals(said)) return
    this.#said = said
    this.tellers++
    const witnesses = this.witnesses.get(channel) ?? []
    if (witnesses.length < limits.tellersPerPeer) witnesses.push({ channel, teller })
    this.witnesses.set(channel, witnesses)
  }

  #seen(firstMs: number, lastMs: number): void {
    this.firstMs = Math.min(this.firstMs, firstMs)
    this.lastMs = Math.max(this.lastMs, lastMs)
  }
}
