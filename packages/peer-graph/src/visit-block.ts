/** A block of the visits of one wire hash in one sealed round: peers (difference to the one before), times, rows. */
import type { TimedVisit, VisitBatch } from './batches.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { pack, unpack } from './packing.ts'
import type { WireRoundKey } from './schema.ts'
import { decodeVisit } from './visit-row.ts'

const what = 'a block of visits'

export class VisitBlockWriter {
  readonly #columns = new ByteWriter()
  #length = 0
  #peer = 0
  #atMs = 0

  get length(): number {
    return this.#length
  }

  get lastPeer(): number {
    return this.#peer
  }

  get bytes(): number {
    return this.#columns.length
  }

  add(peer: number, atMs: number, row: Buffer): void {
    this.#columns
      .varint(peer - this.#peer)
      .signed(atMs - this.#atMs)
      .counted(row)
    this.#length++
    this.#peer = peer
    this.#atMs = atMs
  }

  finish(compression: boolean): Buffer {
    return pack(this.#columns.finish(), compression)
  }
}

export function decodeVisits(packed: Buffer, of: WireRoundKey): VisitBatch {
  const reader = new ByteReader(unpack(packed, what), what)
  const peers: number[] = []
  const visits: TimedVisit[] = []
  for (let [peer, atMs] = [0, 0]; !reader.done; ) {
    peer += reader.varint()
    atMs += reader.signed()
    peers.push(peer)
    visits.push({ ...decodeVisit(reader.counted()), atMs })
  }
  return { kind: 'visits', of, length: peers.length, peers: Float64Array.from(peers), visits }
}
