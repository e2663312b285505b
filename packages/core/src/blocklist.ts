/**
 * Blocklists as other clients read them: CIDR ranges and single addresses, or the P2P text format of PeerGuardian
 * (`name:1.2.3.4-1.2.3.9`), mixed if need be, IPv4 and IPv6. They name millions of ranges: kept sorted in typed arrays,
 * 8 bytes a range (IPv6: 32), and searched by bisection.
 */
import { addressBytes, canonicalAddress, familyOf } from './endpoint.ts'
import { SwarmatlasError } from './errors.ts'

export interface Blocklist {
  /** Ranges, overlapping ones taken together. */
  readonly ranges: number
  /** `address`: canonical text. */
  has(address: string): boolean
}

/** `#` and `;` begin comments: lines, and what follows a CIDR range. Throws BAD_OPTION naming `file` and the line. */
export function parseBlocklist(text: string, file = 'blocklist'): Blocklist {
  const v4 = new RangeTable(1)
  const v6 = new RangeTable(4)
  for (let at = 0, line = 1; at <= text.length; line++) {
    const newline = text.indexOf('\n', at)
    const end = newline < 0 ? text.length : newline
    // trim takes a byte order mark, too.
    const entry = text.slice(at, end).trim()
    at = end + 1
    if (entry === '' || entry[0] === '#' || entry[0] === ';') continue
    const range = readCidr(entry.replace(COMMENT, '')) ?? readP2p(entry)
    if (range === undefined) {
      throw new SwarmatlasError(
        'BAD_OPTION',
        `${file}, line ${line}: neither an address, a CIDR range nor name:first-last`,
      )
    }
    const table = range.first.length === 1 ? v4 : v6
    table.add(range)
  }
  v4.seal()
  v6.seal()
  return {
    ranges: v4.size + v6.size,
    has: (address) => {
      const words = wordsOf(address)
      return words !== undefined && (words.length === 1 ? v4 : v6).has(words)
    },
  }
}

const COMMENT = /\s*[#;].*$/

/** 32 bits each, most significant first: one of an IPv4 address, four of an IPv6 one. */
type Words = readonly number[]

interface WordRange {
  readonly first: Words
  readonly last: Words
}

function wordsOf(text: string): Words | undefined {
  if (!text.includes(':')) {
    const word = ipv4Word(text)
    return word === undefined ? undefined : [word]
  }
  // A name, more often than not: ipaddr.js throws and catches inside before it says so.
  if (!IPV6_TEXT.test(text)) return undefined
  const address = canonicalAddress(text)
  if (address === undefined) return undefined
  if (familyOf(address) === 4) return wordsOf(address)
  const view = new DataView(addressBytes(address).buffer)
  return [0, 4, 8, 12].map((offset) => view.getUint32(offset))
}

const IPV6_TEXT = /^[\da-f:.]{2,45}$/i

/** By hand: lists have millions of them. */
function ipv4Word(text: string): number | undefined {
  let word = 0
  let octet = -1
  let dots = 0
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 48
    if (digit === -2 && octet >= 0 && dots < 3) {
      word = word * 256 + octet
      octet = -1
      dots++
    } else if (digit < 0 || digit > 9 || octet === 0) return undefined
    else octet = octet < 0 ? digit : octet * 10 + digit
    if (octet > 255) return undefined
  }
  return dots === 3 && octet >= 0 ? word * 256 + octet : undefined
}

function readCidr(entry: string): WordRange | undefined {
  const slash = entry.indexOf('/')
  const first = wordsOf(slash < 0 ? entry : entry.slice(0, slash))
  if (first === undefined) return undefined
  const width = first.length * 32
  const bits = slash < 0 ? width : /^\d{1,3}$/.test(entry.slice(slash + 1)) ? Number(entry.slice(slash + 1)) : -1
  if (bits < 0 || bits > width) return undefined
  const hostMask = (index: number) => {
    const hostBits = Math.min(Math.max((index + 1) * 32 - bits, 0), 32)
    return 2 ** hostBits - 1
  }
  return {
    first: first.map((word, index) => word - (word % (hostMask(index) + 1))),
    last: first.map((word, index) => word - (word % (hostMask(index) + 1)) + hostMask(index)),
  }
}

/** A name may hold colons and dashes, and an IPv6 address colons: of the readings that make sense the narrowest is taken. */
function readP2p(entry: string): WordRange | undefined {
  const dash = entry.lastIndexOf('-')
  const last = dash < 0 ? undefined : wordsOf(entry.slice(dash + 1).trim())
  if (last === undefined) return undefined
  const head = entry.slice(0, dash)
  let narrowest: Words | undefined
  // An IPv6 address has seven colons at most; one more ends the name.
  for (let colon = head.length, tries = 0; colon >= 0 && tries < 9; tries++) {
    colon = colon === 0 ? -1 : head.lastIndexOf(':', colon - 1)
    const first = wordsOf(head.slice(colon + 1).trim())
    if (first?.length !== last.length || compareWords(first, last) > 0) continue
    if (narrowest === undefined || compareWords(first, narrowest) > 0) narrowest = first
  }
  return narrowest && { first: narrowest, last }
}

function compareWords(a: ArrayLike<number>, b: ArrayLike<number>, atA = 0, atB = 0, words = a.length): number {
  for (let i = 0; i < words; i++) {
    const difference = (a[atA + i] as number) - (b[atB + i] as number)
    if (difference !== 0) return difference
  }
  return 0
}

/** Ranges of one family; added first, then sealed, then asked. */
class RangeTable {
  readonly #words: 1 | 4
  #firsts: Uint32Array
  #lasts: Uint32Array
  size = 0

  constructor(words: 1 | 4) {
    this.#words = words
    this.#firsts = new Uint32Array(64 * words)
    this.#lasts = new Uint32Array(64 * words)
  }

  add({ first, last }: WordRange): void {
    const at = this.size * this.#words
    if (at === this.#firsts.length) {
      this.#firsts = resized(this.#firsts, 2 * at)
      this.#lasts = resized(this.#lasts, 2 * at)
    }
    this.#firsts.set(first, at)
    this.#lasts.set(last, at)
    this.size++
  }

  /** Sorts, and joins what overlaps: then the last addresses are in order, too. */
  seal(): void {
    const words = this.#words
    const order = new Uint32Array(this.size).map((_, index) => index)
    // Published lists are in order already, which this sort takes in one pass.
    order.sort((a, b) => compareWords(this.#firsts, this.#firsts, a * words, b * words, words))
    const firsts = new Uint32Array(this.size * words)
    const lasts = new Uint32Array(this.size * words)
    let kept = 0
    for (const index of order) {
      const from = index * words
      const previous = (kept - 1) * words
      if (kept > 0 && compareWords(this.#firsts, lasts, from, previous, words) <= 0) {
        if (compareWords(this.#lasts, lasts, from, previous, words) > 0) {
          lasts.set(this.#lasts.subarray(from, from + words), previous)
        }
        continue
      }
      firsts.set(this.#firsts.subarray(from, from + words), kept * words)
      lasts.set(this.#lasts.subarray(from, from + words), kept * words)
      kept++
    }
    this.size = kept
    this.#firsts = resized(firsts, kept * words)
    this.#lasts = resized(lasts, kept * words)
  }

  has(address: Words): boolean {
    const words = this.#words
    let low = 0
    let high = this.size
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareWords(this.#lasts, address, middle * words, 0, words) < 0) low = middle + 1
      else high = middle
    }
    return low < this.size && compareWords(this.#firsts, address, low * words, 0, words) <= 0
  }
}

function resized(words: Uint32Array, length: number): Uint32Array {
  const copy = new Uint32Array(length)
  copy.set(words.subarray(0, length))
  return copy
}
