/**
 * A cursor over bencoded bytes (BEP 3) that allocates nothing: KRPC replies come by the ten thousand a second. Numbers
 * and lengths may have leading zeros, keys any order: clients err there, and nothing depends on it.
 */
const COLON = 0x3a
const DIGIT_0 = 0x30
const DIGIT_9 = 0x39
const MINUS = 0x2d
export const DICT = 0x64
export const END = 0x65
const INTEGER = 0x69
export const LIST = 0x6c

/** Longer ones name nothing that is in a datagram, and would pass what a double holds exactly. */
const MAX_DIGITS = 15

export class BencodeCursor {
  readonly bytes: Buffer
  at = 0
  /** The string that `string()` read last. */
  start = 0
  end = 0

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  get done(): boolean {
    return this.at >= this.bytes.length
  }

  /** The byte that says what comes; undefined at the end. */
  get next(): number | undefined {
    return this.bytes[this.at]
  }

  /** Steps over `byte`, or says false and stays. */
  take(byte: number): boolean {
    if (this.bytes[this.at] !== byte) return false
    this.at++
    return true
  }

  /** Steps over a string and remembers where it is; false when there is none. */
  string(): boolean {
    const length = this.#digits(COLON)
    if (length === undefined || length > this.bytes.length - this.at) return false
    this.start = this.at
    this.end = this.at += length
    return true
  }

  /** Steps over an integer; undefined when there is none, or one beyond 15 digits. */
  integer(): number | undefined {
    if (!this.take(INTEGER)) return undefined
    const negative = this.take(MINUS)
    const value = this.#digits(END)
    return value === undefined ? undefined : negative ? -value : value
  }

  /** Steps over any value nested at most `depth` deep, of at most `items` values; the items left, or undefined. */
  skip(depth: number, items: number): number | undefined {
    if (items <= 0) return undefined
    let left: number | undefined = items - 1
    const kind = this.next
    if (kind === INTEGER) return this.integer() === undefined ? undefined : left
    if (kind !== LIST && kind !== DICT) return this.string() ? left : undefined
    if (depth <= 0) return undefined
    this.at++
    while (!this.take(END)) {
      if (kind === DICT && !this.string()) return undefined
      left = this.skip(depth - 1, left)
      if (left === undefined) return undefined
    }
    return left
  }

  /** Whether the string read last is this one. */
  is(text: string): boolean {
    const length = this.end - this.start
    if (length !== text.length) return false
    for (let i = 0; i < length; i++) if (this.bytes[this.start + i] !== text.charCodeAt(i)) return false
    return true
  }

  /** A view of the string read last. */
  view(): Buffer {
    return this.bytes.subarray(this.start, this.end)
  }

  #digits(terminator: number): number | undefined {
    let value = 0
    let digits = 0
    for (;;) {
      const byte = this.bytes[this.at]
      if (byte === undefined) return undefined
      this.at++
      if (byte === terminator) return digits > 0 ? value : undefined
      if (byte < DIGIT_0 || byte > DIGIT_9 || ++digits > MAX_DIGITS) return undefined
      value = value * 10 + byte - DIGIT_0
    }
  }
}
