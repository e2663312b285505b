/** Address ranges: what is public unicast, what a lab may use, and whom nobody may contact. */
import ipaddr from 'ipaddr.js'
import { addressBytes, canonicalAddress } from './endpoint.ts'
import { SwarmatlasError } from './errors.ts'

/** What `--allow-private` admits beside public unicast. Never multicast, broadcast or the unspecified address. */
const PRIVATE_RANGES = new Set(['loopback', 'private', 'linkLocal', 'carrierGradeNat', 'uniqueLocal'])

/** Labs use them, nobody else answers there (RFC 5737, RFC 3849, RFC 9637). */
const DOCUMENTATION: RangeSet = rangeSet(
  ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32', '3fff::/20'].map(mustParse),
)
/** Where clouds keep a machine's credentials: an HTTP tracker must not lead there, not even in a lab. */
const CLOUD_METADATA = new Set(['169.254.169.254', 'fd00:ec2::254'])

/** True for public unicast addresses; with `allowPrivate` also for those of a lab. Only canonical text passes. */
export function isUnicast(address: string, allowPrivate: boolean): boolean {
  const network = firstOctet(address)
  if (network === 127) return allowPrivate
  if (network !== undefined && network > 0 && network < 224 && !MIXED_NETWORKS.has(network)) return true
  const parsed = parse(address)
  if (parsed === undefined || CLOUD_METADATA.has(address)) return false
  const range: string = parsed.range()
  if (range === 'unicast') return parsed instanceof ipaddr.IPv4 || isGlobal(parsed)
  return allowPrivate && (PRIVATE_RANGES.has(range) || DOCUMENTATION.has(address))
}

/** The networks (/8) below multicast that hold special ranges (RFC 6890); ipaddr.js, at 2 µs an address, is asked for these alone. */
const MIXED_NETWORKS = new Set([10, 100, 169, 172, 192, 198, 203])

/** Undefined for what is no canonical IPv4 address. */
function firstOctet(address: string): number | undefined {
  return !address.includes(':') && ipaddr.IPv4.isValidFourPartDecimal(address)
    ? Number(address.slice(0, address.indexOf('.')))
    : undefined
}

/** 2000::/3, all that is allotted for global unicast so far (RFC 4291); ipaddr.js calls the unallotted rest unicast too. */
function isGlobal(address: ipaddr.IPv6): boolean {
  return (address.parts[0] as number) >> 13 === 1
}

function parse(address: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  // ipaddr.js throws and catches inside when it is asked whether an IPv6 address is an IPv4 one: 13 µs.
  if (!address.includes(':')) {
    return ipaddr.IPv4.isValidFourPartDecimal(address) ? ipaddr.IPv4.parse(address) : undefined
  }
  if (address.includes('%')) return undefined
  try {
    return ipaddr.IPv6.parse(address)
  } catch {
    return undefined
  }
}

/** First and last address of a range, in a form that sorts: the family, then the bytes in hex. */
export type Range = readonly [first: string, last: string]

export interface RangeSet {
  has(address: string): boolean
}

/** Looks an address up among any number of ranges by bisection. */
export function rangeSet(ranges: readonly Range[]): RangeSet {
  const disjoint: [string, string][] = []
  for (const [first, last] of [...ranges].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const previous = disjoint.at(-1)
    if (previous === undefined || first > previous[1]) disjoint.push([first, last])
    else if (last > previous[1]) previous[1] = last
  }
  return {
    has(address) {
      if (disjoint.length === 0) return false
      const wanted = sortable(addressBytes(address))
      let low = 0
      let high = disjoint.length
      while (low < high) {
        const middle = (low + high) >>> 1
        if ((disjoint[middle] as Range)[1] < wanted) low = middle + 1
        else high = middle
      }
      const found = disjoint[low]
      return found !== undefined && found[0] <= wanted
    },
  }
}

/** Reads an address or a CIDR range; bits behind the prefix are ignored. Undefined when it is neither. */
export function parseRange(text: string): Range | undefined {
  const match = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text)
  const address = canonicalAddress(match?.[1] ?? '')
  if (address === undefined) return undefined
  const first = addressBytes(address)
  const width = first.length * 8
  const bits = match?.[2] === undefined ? width : Number(match[2])
  if (bits > width) return undefined
  const last = Uint8Array.from(first)
  for (let i = 0; i < first.length; i++) {
    const hostBits = Math.min(Math.max((i + 1) * 8 - bits, 0), 8)
    const hostMask = (1 << hostBits) - 1
    first[i] = (first[i] as number) & ~hostMask
    last[i] = (last[i] as number) | hostMask
  }
  return [sortable(first), sortable(last)]
}

/** Reads an opt-out file: an address or CIDR range a line, `#` before comments. Throws BAD_OPTION naming the line. */
export function parseOptOut(text: string): string[] {
  return text
    .replace(/^\ufeff/, '')
    .split(/\r\n|\n|\r/)
    .flatMap((raw, index) => {
      const entry = raw.replace(/#.*$/, '').trim()
      if (entry === '') return []
      if (parseRange(entry) === undefined) {
        throw new SwarmatlasError('BAD_OPTION', `opt-out list, line ${index + 1}: not an address or CIDR range`)
      }
      return [entry]
    })
}

function mustParse(text: string): Range {
  return parseRange(text) as Range
}

function sortable(bytes: Uint8Array): string {
  return `${bytes.length === 4 ? 4 : 6}${Buffer.from(bytes).toString('hex')}`
}
