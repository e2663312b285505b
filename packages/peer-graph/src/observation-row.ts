/** The value of an observation row: one teller's word on one peer, aggregated over the round. About 12 bytes. */
import type { Observation, ObservationFlag, PexFlags } from '@swarmatlas/core'
import { ByteReader, ByteWriter } from './bytes.ts'

export interface ObservationRow {
  readonly firstMs: number
  readonly lastMs: number
  readonly count: number
  /** Bits of `flagBits`. */
  readonly flags: number
  /** 0, or bits of `pexBits` with `pexKnown`. */
  readonly pex: number
}

const flagBits: Record<ObservationFlag, number> = {
  'suspect-port': 1,
  'swapped-port': 2,
  dropped: 4,
  'other-port': 8,
  'other-id': 16,
}
/** As BEP 11 numbers them; the bit above says that there were any. */
const pexBits: Record<keyof PexFlags, number> = { prefersEncryption: 1, seed: 2, utp: 4, holepunch: 8, reachable: 16 }
const pexKnown = 0x80

export function rowOf({ atMs, flags, pex }: Observation): ObservationRow {
  return {
    firstMs: atMs,
    lastMs: atMs,
    count: 1,
    flags: flags.reduce((bits, flag) => bits | flagBits[flag], 0),
    pex: pex === undefined ? 0 : bitsOf(pexBits, (name) => pex[name]) | pexKnown,
  }
}

/** The clock may jump: first is the smallest time, last the largest. */
export function mergeRows(a: ObservationRow, b: ObservationRow): ObservationRow {
  return {
    firstMs: Math.min(a.firstMs, b.firstMs),
    lastMs: Math.max(a.lastMs, b.lastMs),
    count: a.count + b.count,
    flags: a.flags | b.flags,
    pex: a.pex | b.pex,
  }
}

const scratch: ByteWriter = new ByteWriter()

export function encodeRow(row: ObservationRow): Buffer {
  const bytes = scratch
    .reset()
    .time(row.firstMs)
    .varint(row.lastMs - row.firstMs)
    .varint(row.count)
    .u8(row.flags)
    .u8(row.pex)
    .finish()
  return Buffer.from(bytes)
}

export function decodeRow(bytes: Buffer): ObservationRow {
  const reader = new ByteReader(bytes, 'an observation')
  const firstMs = reader.time()
  return {
    firstMs,
    lastMs: firstMs + reader.varint(),
    count: reader.varint(),
    flags: reader.u8(),
    pex: reader.u8(),
  }
}

export function flagsOf(bits: number): ObservationFlag[] {
  return (Object.keys(flagBits) as ObservationFlag[]).filter((flag) => (bits & flagBits[flag]) !== 0)
}

export function pexOf(bits: number): PexFlags | null {
  if ((bits & pexKnown) === 0) return null
  const is = (name: keyof PexFlags) => (bits & pexBits[name]) !== 0
  return {
    prefersEncryption: is('prefersEncryption'),
    seed: is('seed'),
    utp: is('utp'),
    holepunch: is('holepunch'),
    reachable: is('reachable'),
  }
}

/** The bits of the names that are set. */
function bitsOf<T extends string>(codes: Record<T, number>, isSet: (name: T) => boolean): number {
  return (Object.keys(codes) as T[]).reduce((bits, name) => (isSet(name) ? bits | codes[name] : bits), 0)
}
