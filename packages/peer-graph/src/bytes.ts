/** Compact binary values: unsigned LEB128 varints, fixed integers and counted text. */
import type { SwarmatlasError } from '@swarmatlas/core'
import { corruptRow } from './store-errors.ts'

const U48 = 2 ** 48

export class ByteWriter {
  readonly #bytes: number[] = []

  u8(value: number): this {
    this.#bytes.push(value & 0xff)
    return this
  }

  /** Milliseconds since 1970, up to the year 10889. */
  time(ms: number): this {
    const value = clampTime(ms)
    const high = Math.floor(value / 2 ** 32)
    this.#bytes.push((high >> 8) & 0xff, high & 0xff)
    for (const shift of [24, 16, 8, 0]) this.#bytes.push((value >>> shift) & 0xff)
    return this
  }

  /** A whole number from 0 to 2^53 - 1; others are brought into that range. */
  varint(value: number): this {
    let rest = value > 0 ? Math.min(Math.round(value), Number.MAX_SAFE_INTEGER) : 0
    while (rest > 0x7f) {
      this.#bytes.push((rest % 128) | 0x80)
      rest = Math.floor(rest / 128)
    }
    this.#bytes.push(rest)
    return this
  }

  raw(bytes: Iterable<number>): this {
    this.#bytes.push(...bytes)
    return this
  }

  text(value: string): this {
    const bytes = Buffer.from(value, 'utf8')
    return this.varint(bytes.length).raw(bytes)
  }

  double(value: number): this {
    const bytes = Buffer.alloc(8)
    bytes.writeDoubleBE(value)
    return this.raw(bytes)
  }

  finish(): Buffer {
    return Buffer.from(this.#bytes)
  }
}

/** Reads what ByteWriter wrote; a row that ends early or holds the impossible is STORE_CORRUPT. */
export class ByteReader {
  readonly #bytes: Buffer
  readonly #what: string
  #at = 0

  constructor(bytes: Buffer, what: string) {
    this.#bytes = bytes
    this.#what = what
  }

  u8(): number {
    return this.raw(1)[0] as number
  }

  time(): number {
    return this.raw(6).readUIntBE(0, 6)
  }

  varint(): number {
    let value = 0
    for (let scale = 1; scale <= Number.MAX_SAFE_INTEGER; scale *= 128) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
    throw this.corrupt()
  }

  raw(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw this.corrupt()
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  text(): string {
    return this.raw(this.varint()).toString('utf8')
  }

  double(): number {
    return this.raw(8).readDoubleBE()
  }

  corrupt(): SwarmatlasError {
    return corruptRow(this.#what)
  }
}

export function clampTime(ms: number): number {
  return Math.min(Math.max(Math.round(ms), 0), U48 - 1)
}
