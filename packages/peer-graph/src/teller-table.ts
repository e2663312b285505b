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

export function encodeTellers({ ids, times, tokens, asns }: TellerTable, compression: boolean): Buffer {
  const writer = new ByteWriter().varint(ids.length)
  let [before, base] = [0, 0]
  ids.forEach((id, i) => {
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
  })
  return pack(writer.finish(), compression)
}

export function decodeTellers(packed: Buffer): TellerTable {
  const reader = new ByteReader(unpack(packed, 'a list of tellers'), 'a list of tellers')
  const length = reader.varint()
  // A teller takes three bytes at least.
  if (length * 3 > 2 ** 28) throw reader.corrupt()
  const [ids, tokens, asns] = [new Float64Array(length), new Float64Array(length), new Float64Array(length)]
  const times: number[][] = []
  let [id, base] = [0, 0]
  for (let i = 0; i < length; i++) {
    id += reader.varint()
    ids[i] = id
    const count = reader.varint()
    if (count < 1 || count > limits.storeTellerTimes) throw reader.corrupt()
    const own = [base + reader.signed()]
    for (let k = 1; k < count; k++) own.push((own[k - 1] as number) + reader.varint())
    base = own[0] as number
    times.push(own)
    if (tellerOfId(id).kind === 'peer') {
      tokens[i] = reader.varint()
      asns[i] = reader.varint()
    }
  }
  return { ids, times, tokens, asns }
}
