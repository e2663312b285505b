/** Facts and visits in columns, as they are read: of one wire hash in one round, sorted by peer. */
import type { WireRoundKey } from './schema.ts'
import type { VisitRow } from './visit-row.ts'

/** Entry `i` of all columns is one fact. */
export interface FactBatch {
  readonly kind: 'facts'
  readonly of: WireRoundKey
  readonly length: number
  readonly peers: Float64Array
  /** Channel codes. */
  readonly channels: Uint8Array
  /** See tellerId. */
  readonly tellers: Float64Array
  readonly firstMs: Float64Array
  readonly lastMs: Float64Array
  readonly counts: Float64Array
  /** Bits, see observation-row.ts. */
  readonly flags: Uint8Array
  readonly pex: Uint8Array
  /** What makes tellers independent, see networks.ts; 0 where nobody knows. */
  readonly networks: Float64Array
  /** Autonomous systems of the tellers; 0 where nobody knows. */
  readonly asns: Float64Array
}

export interface VisitBatch {
  readonly kind: 'visits'
  readonly of: WireRoundKey
  readonly length: number
  readonly peers: Float64Array
  readonly visits: readonly TimedVisit[]
}

export type TimedVisit = VisitRow & { readonly atMs: number }

export type Batch = FactBatch | VisitBatch

/** The part of a batch that is of one peer; undefined when it holds nothing of it. */
export function factsOf(batch: FactBatch, peer: number): FactBatch | undefined {
  const from = batch.peers.subarray(0, batch.length).indexOf(peer)
  if (from < 0) return undefined
  const to = batch.peers.subarray(0, batch.length).lastIndexOf(peer) + 1
  return {
    kind: 'facts',
    of: batch.of,
    length: to - from,
    peers: batch.peers.subarray(from, to),
    channels: batch.channels.subarray(from, to),
    tellers: batch.tellers.subarray(from, to),
    firstMs: batch.firstMs.subarray(from, to),
    lastMs: batch.lastMs.subarray(from, to),
    counts: batch.counts.subarray(from, to),
    flags: batch.flags.subarray(from, to),
    pex: batch.pex.subarray(from, to),
    networks: batch.networks.subarray(from, to),
    asns: batch.asns.subarray(from, to),
  }
}

export function visitsOf({ kind, of, peers, visits }: VisitBatch, peer: number): VisitBatch | undefined {
  const from = peers.indexOf(peer)
  if (from < 0) return undefined
  const to = peers.lastIndexOf(peer) + 1
  return { kind, of, length: to - from, peers: peers.subarray(from, to), visits: visits.slice(from, to) }
}

export function emptyFacts(of: WireRoundKey, length: number): FactBatch {
  const numbers = () => new Float64Array(length)
  return {
    kind: 'facts',
    of,
    length,
    peers: numbers(),
    channels: new Uint8Array(length),
    tellers: numbers(),
    firstMs: numbers(),
    lastMs: numbers(),
    counts: numbers(),
    flags: new Uint8Array(length),
    pex: new Uint8Array(length),
    networks: numbers(),
    asns: numbers(),
  }
}
