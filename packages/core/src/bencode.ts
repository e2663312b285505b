/**
 * Bencode (BEP 3), bounded: hostile bytes cost at most one pass and never throw. Unlike the bencode package it limits
 * depth and item count, reports where a value ends (BEP 9 appends raw bytes to a dictionary), and gives the original
 * bytes of a dictionary's value (an info-hash is taken over bytes, never over a re-encoding). See ADR 0004.
 */

export type Bencoded = number | Uint8Array | Bencoded[] | BencodedDict
/** Keys are the raw key bytes read as Latin-1. */
export type BencodedDict = Map<string, Bencoded>

export interface BencodeLimits {
  /** Nesting of lists and dictionaries. */
  maxDepth?: number
  /** Values in all, so that a list of a million empty strings is refused before it is built. */
  maxItems?: number
}

export interface Decoded {
  value: Bencoded
  /** Offset of the first byte after the value. */
  end: number
}

const DEFAULT_DEPTH = 32
const DEFAULT_ITEMS = 500_000

/** Decodes the value at the start of `bytes`; trailing bytes are left to the caller. Undefined when malformed or over a limit. */
export function decodeBencodePrefix(bytes: Uint8Array, limits: BencodeLimits = {}): Decoded | undefined {
  const reader = new Reader(bytes, limits.maxItems ?? DEFAULT_ITEMS)
  const value = reader.value(limits.maxDepth ?? DEFAULT_DEPTH)
  return value === undefined ? undefined : { value, end: reader.position }
}

/** Decodes `bytes` as exactly one value. */
export function decodeBencode(bytes: Uint8Array, limits?: BencodeLimits): Bencoded | undefined {
  const decoded = decodeBencodePrefix(bytes, limits)
  return decoded !== undefined && decoded.end === bytes.length ? decoded.value : undefined
}

/** Decodes `bytes` as one dictionary and gives beside it the original bytes of the value under `key`. */
export function decodeWithSpan(
  bytes: Uint8Array,
  key: string,
  limits: BencodeLimits = {},
): { dict: BencodedDict; span: Uint8Array | undefined } | undefined {
  const reader = new Reader(bytes, limits.maxItems ?? DEFAULT_ITEMS, key)
  const dict = reader.value(limits.maxDepth ?? DEFAULT_DEPTH)
  if (!(dict instanceof Map) || reader.position !== bytes.length) return undefined
  return { dict, span: reader.span }
}

class Reader {
  position = 0
  span: Uint8Array | undefined
  readonly #bytes: Uint8Array
  readonly #spanKey: string | undefined
  #itemsLeft: number
  #nesting = 0

  constructor(bytes: Uint8Array, maxItems: number, spanKey?: string) {
    this.#bytes = bytes
    this.#itemsLeft = maxItems
    this.#spanKey = spanKey
  }

  value(depthLeft: number): Bencoded | undefined {
    if (--this.#itemsLeft < 0 || depthLeft <= 0) return undefined
    switch (this.#bytes[this.position]) {
      case 0x69: // i
        return this.#integer()
      case 0x6c: // l
        return this.#list(depthLeft)
      case 0x64: // d
        return this.#dict(depthLeft)
      default:
        return this.#string()
    }
  }

  #integer(): number | undefined {
    this.position++
    const start = this.position
    const negative = this.#bytes[start] === 0x2d
    if (negative) this.position++
    const magnitude = this.#digits(0x65)
    if (magnitude === undefined) return undefined
    // Not -magnitude, which would make `i-0e` a negative zero.
    return negative ? 0 - magnitude : magnitude
  }

  /** Digits up to and including `terminator`; undefined when there are none or the number is not a safe integer. */
  #digits(terminator: number): number | undefined {
    const start = this.position
    let sum = 0
    for (;;) {
      const byte = this.#bytes[this.position++]
      if (byte === terminator) return this.position - 1 > start && Number.isSafeInteger(sum) ? sum : undefined
      if (byte === undefined || byte < 0x30 || byte > 0x39 || this.position - start > 17) return undefined
      sum = sum * 10 + (byte - 0x30)
    }
  }

  #string(): Uint8Array | undefined {
    const length = this.#digits(0x3a)
    if (length === undefined || length > this.#bytes.length - this.position) return undefined
    const start = this.position
    this.position += length
    return this.#bytes.subarray(start, this.position)
  }

  #list(depthLeft: number): Bencoded[] | undefined {
    this.position++
    this.#nesting++
    const items: Bencoded[] = []
    while (this.#bytes[this.position] !== 0x65) {
      const item = this.value(depthLeft - 1)
      if (item === undefined) return undefined
      items.push(item)
    }
    this.position++
    this.#nesting--
    return items
  }

  #dict(depthLeft: number): BencodedDict | undefined {
    this.position++
    const outermost = this.#nesting++ === 0
    const dict: BencodedDict = new Map()
    while (this.#bytes[this.position] !== 0x65) {
      const rawKey = this.#string()
      if (rawKey === undefined) return undefined
      const key = latin1(rawKey)
      const start = this.position
      const item = this.value(depthLeft - 1)
      if (item === undefined) return undefined
      // The first of two equal keys wins: a second one must not change what was checked.
      if (dict.has(key)) continue
      dict.set(key, item)
      if (outermost && key === this.#spanKey) this.span = this.#bytes.subarray(start, this.position)
    }
    this.position++
    this.#nesting--
    return dict
  }
}

export type Encodable =
  | number
  | string
  | Uint8Array
  | readonly Encodable[]
  | { readonly [key: string]: Encodable | undefined }
  | ReadonlyMap<string, Encodable>

/** Encodes a value; keys are sorted by their bytes, undefined members are left out, text is written as UTF-8. */
export function encodeBencode(value: Encodable): Uint8Array {
  const parts: Uint8Array[] = []
  write(value, parts)
  return Buffer.concat(parts)
}

function write(value: Encodable, parts: Uint8Array[]): void {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new TypeError(`bencode has no form for ${value}`)
    parts.push(Buffer.from(`i${value}e`))
  } else if (typeof value === 'string') {
    writeString(Buffer.from(value), parts)
  } else if (value instanceof Uint8Array) {
    writeString(value, parts)
  } else if (Array.isArray(value)) {
    parts.push(Buffer.from('l'))
    for (const item of value as readonly Encodable[]) write(item, parts)
    parts.push(Buffer.from('e'))
  } else {
    parts.push(Buffer.from('d'))
    // A Map comes from the decoder: its keys are bytes read as Latin-1.
    const encoding = value instanceof Map ? 'latin1' : 'utf8'
    const entries: Iterable<[string, Encodable | undefined]> = value instanceof Map ? value : Object.entries(value)
    const members = [...entries]
      .filter((entry): entry is [string, Encodable] => entry[1] !== undefined)
      .map(([key, item]) => [Buffer.from(key, encoding), item] as const)
      .sort(([a], [b]) => Buffer.compare(a, b))
    for (const [key, item] of members) {
      writeString(key, parts)
      write(item, parts)
    }
    parts.push(Buffer.from('e'))
  }
}

function writeString(bytes: Uint8Array, parts: Uint8Array[]): void {
  parts.push(Buffer.from(`${bytes.length}:`), bytes)
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

/** Typed reads of a dictionary's members; undefined when absent or of another type. */
export const read = {
  bytes(dict: BencodedDict | undefined, key: string): Uint8Array | undefined {
    const value = dict?.get(key)
    return value instanceof Uint8Array ? value : undefined
  },
  /** Bytes read as UTF-8; invalid sequences become U+FFFD. */
  text(dict: BencodedDict | undefined, key: string): string | undefined {
    const value = dict?.get(key)
    return value instanceof Uint8Array ? utf8.decode(value) : undefined
  },
  integer(dict: BencodedDict | undefined, key: string): number | undefined {
    const value = dict?.get(key)
    return typeof value === 'number' ? value : undefined
  },
  list(dict: BencodedDict | undefined, key: string): Bencoded[] | undefined {
    const value = dict?.get(key)
    return Array.isArray(value) ? value : undefined
  },
  dict(dict: BencodedDict | undefined, key: string): BencodedDict | undefined {
    const value = dict?.get(key)
    return value instanceof Map ? value : undefined
  },
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })
