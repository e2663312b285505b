/** Compact binary values: unsigned LEB128 varints, fixed integers and counted text. */
import type { SwarmatlasError } from '@swarmatlas/core'
import { corruptRow } from './store-errors.ts'

const U48 = 2 ** 48

export class ByteWriter {
  #bytes: Buffer = Buffer.allocUnsafe(64)
  #length = 0

  get length(): number {
    return this.#length
  }

  /** Starts over, in the same memory. */
  reset(): this {
    this.#length = 0
    return this
  }

  u8(value: number): this {
    this.#room(1)
    this.#bytes[this.#length++] = value
    return this
  }

  /** Milliseconds since 1970, up to the year 10889. */
  time(ms: number): this {
    this.#room(6)
    this.#length = this.#bytes.writeUIntBE(clampTime(ms), this.#length, 6)
    return this
  }

  /** A whole number from 0 to 2^53 - 1; others are brought into that range. */
  varint(value: number): this {
    this.#room(8)
    let rest = value > 0 ? Math.min(Math.round(value), Number.MAX_SAFE_INTEGER) : 0
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    this.#bytes[this.#length++] = rest
    return this
  }

  /** A whole number of either sign, small ones in few bytes. */
  signed(value: number): this {
    return this.varint(value < 0 ? -2 * value - 1 : 2 * value)
  }

  raw(bytes: Uint8Array): this {
    this.#room(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
    return this
  }

  /** Bytes with their length before them. */
  counted(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes)
  }

  text(value: string): this {
    return this.counted(Buffer.from(value, 'utf8'))
  }

  double(value: number): this {
    this.#room(8)
    this.#length = this.#bytes.writeDoubleBE(value, this.#length)
    return this
  }

  /** What was written. It shares the writer's memory, which must not be written to any more. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  #room(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#bytes.length))
    larger.set(this.#bytes)
    this.#bytes = larger
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

  get done(): boolean {
    return this.#at >= this.#bytes.length
  }

  u8(): number {
    if (this.#at >= this.#bytes.length) throw this.corrupt()
    return this.#bytes[this.#at++] as number
  }

  time(): number {
    return this.raw(6).readUIntBE(0, 6)
  }

  varint(): number {
    const first = this.u8()
    if (first < 0x80) return first
    let value = first & 0x7f
    for (let scale = 128; scale <= Number.MAX_SAFE_INTEGER; scale *= 128) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
    throw this.corrupt()
  }

  signed(): number {
    const value = this.varint()
    return value % 2 === 1 ? -(value + 1) / 2 : value / 2
  }

  raw(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw this.corrupt()
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  counted(): Buffer {
    return this.raw(this.varint())
  }

  text(): string {
    return this.counted().toString('utf8')
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
