/**
 * Who told of peers of one wire hash in one round over one channel, and when: the facts of a sealed round point to tellers
 * and times by their place in this table, in a byte or two. A PEX message names fifty peers at one time.
 */
import { limits } from '@swarmatlas/core'
import { ByteReader, ByteWriter } from './bytes.ts'
import { pack, unpack } from './packing.ts'
import { tellerOfId } from './schema.ts'

export interface TellerTable {
  /** Teller ids, ascending. */
  readonly ids: Float64Array
  /** Distinct times of each teller, milliseconds, ascending; never empty. */
  readonly times: readonly (readonly number[])[]
  /** Of peers: the keyed hash of the network, see networks.ts; else 0. */
  readonly tokens: Float64Array
  /** 0 where unknown. */
  readonly asns: Float64Array
}

/** Collects a table in a first pass over the facts. */
export class TellerTableBuilder {
  readonly #times: Map<number, number[]> = new Map()

  get size(): number {
    return this.#times.size
  }

  note(teller: number, firstMs: number, lastMs: number): void {
    let times = this.#times.get(teller)
    if (times === undefined) {
      times = []
      this.#times.set(teller, times)
    }
    if (times.length < limits.storeTellerTimes && !times.includes(firstMs)) times.push(firstMs)
    if (times.length < limits.storeTellerTimes && !times.includes(lastMs)) times.push(lastMs)
  }

  ids(): Float64Array {
    return Float64Array.from(this.#times.keys()).sort()
  }

  finish(ids: Float64Array, origins: ReadonlyMap<number, { token: number; asn: number }>): TellerTable {
    return {
      ids,
      times: Array.from(ids, (id) => (this.#times.get(id) as number[]).sort((a, b) => a - b)),
      tokens: ids.map((id) => origins.get(id)?.token ?? 0),
      asns: ids.map((id) => origins.get(id)?.asn ?? 0),
    }
  }
}

/** Tellers in one stored piece of a table: what one look at a peer has to read for each of its tellers. */
export const PIECE = 256

/** The pieces of a table, in order. */
export function* encodeTellers(table: TellerTable, compression: boolean): Generator<Buffer> {
  for (let from = 0; from < table.ids.length; from += PIECE) yield encodePiece(table, from, compression)
}

function encodePiece({ ids, times, tokens, asns }: TellerTable, from: number, compression: boolean): Buffer {
  const to = Math.min(from + PIECE, ids.length)
  const writer = new ByteWriter().varint(to - from)
  let [before, base] = [0, 0]
  for (let i = from; i < to; i++) {
    const id = ids[i] as number
    const own = times[i] as readonly number[]
    writer.varint(id - before).varint(own.length)
    before = id
    let last = base
    own.forEach((ms, k) => {
      if (k === 0) writer.signed(ms - last)
      else writer.varint(ms - last)
      last = ms
    })
    base = own[0] as number
    if (tellerOfId(id).kind === 'peer') writer.varint(tokens[i] as number).varint(asns[i] as number)
  }
  return pack(writer.finish(), compression)
}

/** A table of the pieces that are given by their place; what the others hold is left empty. */
export function decodeTellers(pieces: ReadonlyMap<number, Buffer>): TellerTable {
  const length = PIECE * (Math.max(-1, ...pieces.keys()) + 1)
  const [ids, tokens, asns] = [new Float64Array(length), new Float64Array(length), new Float64Array(length)]
  const times: number[][] = new Array(length)
  let end = 0
  for (const [piece, packed] of pieces) {
    end = Math.max(end, piece * PIECE + decodePiece(packed, piece * PIECE, { ids, tokens, asns, times }))
  }
  times.length = end
  return { ids: ids.subarray(0, end), tokens: tokens.subarray(0, end), asns: asns.subarray(0, end), times }
}

function decodePiece(
  packed: Buffer,
  from: number,
  { ids, tokens, asns, times }: Omit<TellerTable, 'times'> & { times: number[][] },
): number {
  const reader = new ByteReader(unpack(packed, 'a list of tellers'), 'a list of tellers')
  const length = reader.varint()
  if (length > PIECE) throw reader.corrupt()
  let [id, base] = [0, 0]
  for (let i = from; i < from + length; i++) {
    id += reader.varint()
    ids[i] = id
    const count = reader.varint()
    if (count < 1 || count > limits.storeTellerTimes) throw reader.corrupt()
    const own = [base + reader.signed()]
    for (let k = 1; k < count; k++) own.push((own[k - 1] as number) + reader.varint())
    base = own[0] as number
    times[i] = own
    if (tellerOfId(id).kind === 'peer') {
      tokens[i] = reader.varint()
      asns[i] = reader.varint()
    }
  }
  return length
}
