/**
 * A block of a sealed round: facts of one wire hash, round and channel, sorted by peer and teller, column by column.
 * Neighbours differ little, so a column is small numbers, which deflate then takes to a byte or two a fact.
 *
 * Columns, each with its length before it: peers (difference to the one before, count of facts), tellers (place in the
 * table; within a peer the difference), first time (1 + place in the teller's times; 0: see `odd`), last time (places
 * after the first), counts less 1, flags, PEX flags, odd times (signed difference to the teller's first time, duration).
 */

import { emptyFacts, type FactBatch } from './batches.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { pack, unpack } from './packing.ts'
import type { WireRoundKey } from './schema.ts'
import type { TellerTable } from './teller-table.ts'

const what = 'a block of facts'
/** Times of tellers that are not asked for. */
const nobody: readonly number[] = []

export class FactBlockWriter {
  readonly #table: TellerTable
  readonly #places: ReadonlyMap<number, number>
  readonly #peers = new ByteWriter()
  readonly #tellers = new ByteWriter()
  readonly #first = new ByteWriter()
  readonly #last = new ByteWriter()
  readonly #counts = new ByteWriter()
  readonly #flags = new ByteWriter()
  readonly #pex = new ByteWriter()
  readonly #odd = new ByteWriter()
  #length = 0
  #before = 0
  #peer = -1
  #run = 0
  #teller = 0

  /** `places`: of the table's teller ids. */
  constructor(table: TellerTable, places: ReadonlyMap<number, number>) {
    this.#table = table
    this.#places = places
  }

  get length(): number {
    return this.#length
  }

  get lastPeer(): number {
    return this.#peer
  }

  /** Uncompressed. */
  get bytes(): number {
    const columns = [this.#peers, this.#tellers, this.#first, this.#last, this.#counts, this.#odd]
    return columns.reduce((sum, column) => sum + column.length, 2 * this.#length)
  }

  add(batch: FactBatch, i: number): void {
    const peer = batch.peers[i] as number
    if (peer !== this.#peer) {
      this.#endRun()
      this.#peer = peer
      this.#teller = 0
    }
    this.#run++
    this.#length++
    const place = this.#places.get(batch.tellers[i] as number) as number
    this.#tellers.varint(place - this.#teller)
    this.#teller = place
    const [firstMs, lastMs] = [batch.firstMs[i] as number, batch.lastMs[i] as number]
    const times = this.#table.times[place] as readonly number[]
    const first = times.indexOf(firstMs)
    const last = first < 0 ? -1 : times.indexOf(lastMs, first)
    if (last < 0) {
      this.#first.varint(0)
      this.#odd.signed(firstMs - (times[0] as number)).varint(lastMs - firstMs)
    } else {
      this.#first.varint(first + 1)
      this.#last.varint(last - first)
    }
    this.#counts.varint((batch.counts[i] as number) - 1)
    this.#flags.u8(batch.flags[i] as number)
    this.#pex.u8(batch.pex[i] as number)
  }

  finish(compression: boolean): Buffer {
    this.#endRun()
    const writer = new ByteWriter().varint(this.#length)
    for (const column of [
      this.#peers,
      this.#tellers,
      this.#first,
      this.#last,
      this.#counts,
      this.#flags,
      this.#pex,
      this.#odd,
    ]) {
      writer.counted(column.finish())
    }
    return pack(writer.finish(), compression)
  }

  #endRun(): void {
    if (this.#run === 0) return
    this.#peers.varint(this.#peer - this.#before).varint(this.#run)
    this.#before = this.#peer
    this.#run = 0
  }
}

/** The places in the table of those who told of a peer in a block. */
export function placesOf(packed: Buffer, peer: number): Set<number> {
  const reader = new ByteReader(unpack(packed, what), what)
  reader.varint()
  const [peers, tellers] = [new ByteReader(reader.counted(), what), new ByteReader(reader.counted(), what)]
  const places = new Set<number>()
  for (let current = 0; !peers.done && current <= peer; ) {
    current += peers.varint()
    let place = 0
    for (let run = peers.varint(); run > 0; run--) {
      place += tellers.varint()
      if (current === peer) places.add(place)
    }
  }
  return places
}

/** `networks`: of the table's tellers, see networks.ts. With `only`, the facts of other peers are not filled in. */
export function decodeFacts(
  packed: Buffer,
  { of, channel, only }: { of: WireRoundKey; channel: number; only?: number | undefined },
  table: TellerTable,
  networks: Float64Array,
): FactBatch {
  const bytes = unpack(packed, what)
  const reader = new ByteReader(bytes, what)
  const length = reader.varint()
  // A fact takes five bytes at least.
  if (length > bytes.length) throw reader.corrupt()
  const column = () => new ByteReader(reader.counted(), what)
  const [peers, tellers, first, last, counts] = [column(), column(), column(), column(), column()]
  const [flags, pex, odd] = [reader.counted(), reader.counted(), column()]
  if (flags.length !== length || pex.length !== length) throw reader.corrupt()
  const batch = emptyFacts(of, length)
  batch.channels.fill(channel)
  batch.flags.set(flags)
  batch.pex.set(pex)
  for (let i = 0, peer = 0; i < length; ) {
    peer += peers.varint()
    let place = 0
    for (const end = i + peers.varint(); i < end; i++) {
      if (i >= length) throw reader.corrupt()
      place += tellers.varint()
      const times = only === undefined || only === peer ? table.times[place] : nobody
      if (times === undefined) throw reader.corrupt()
      batch.peers[i] = peer
      batch.tellers[i] = table.ids[place] as number
      batch.networks[i] = networks[place] as number
      batch.asns[i] = table.asns[place] as number
      const at = first.varint()
      if (at === 0) {
        const firstMs = (times[0] as number) + odd.signed()
        batch.firstMs[i] = firstMs
        batch.lastMs[i] = firstMs + odd.varint()
      } else {
        batch.firstMs[i] = times[at - 1] as number
        batch.lastMs[i] = times[at - 1 + last.varint()] as number
      }
      batch.counts[i] = counts.varint() + 1
    }
  }
  return batch
}
