/** Endpoints: address + port, and their compact forms (BEP 5, BEP 7, BEP 11, BEP 32). */
import ipaddr from 'ipaddr.js'

export type Family = 4 | 6

export interface Endpoint {
  /** Canonical text: dotted quad, or RFC 5952 for IPv6. IPv4-mapped IPv6 is written as IPv4. */
  readonly address: string
  /** 1-65535; 0 only where a source gave 0. */
  readonly port: number
}

/** `1.2.3.4:80` or `[2001:db8::1]:80`: the text that keys maps and stands in reports. */
export function endpointKey(endpoint: Endpoint): string {
  return endpoint.address.includes(':')
    ? `[${endpoint.address}]:${endpoint.port}`
    : `${endpoint.address}:${endpoint.port}`
}

export function familyOf(address: string): Family {
  return address.includes(':') ? 6 : 4
}

/** Canonical text of an IP address, or undefined when it is none. Octal and shortened IPv4 forms are refused. */
export function canonicalAddress(text: string): string | undefined {
  if (!text.includes(':')) return ipaddr.IPv4.isValidFourPartDecimal(text) ? text : undefined
  // A zone (fe80::1%eth0) names an interface of this machine, which no other can mean.
  if (text.includes('%')) return undefined
  const hex = withoutDottedQuad(text)
  if (hex === undefined || !ipaddr.IPv6.isValid(hex)) return undefined
  const parsed = ipaddr.IPv6.parse(hex)
  return parsed.isIPv4MappedAddress() ? parsed.toIPv4Address().toString() : parsed.toRFC5952String()
}

/** `::ffff:1.2.3.4` in hex alone: ipaddr.js takes octal there, and reads `::1.2.3.4` as a mapped address. */
function withoutDottedQuad(text: string): string | undefined {
  if (!text.includes('.')) return text
  const split = text.lastIndexOf(':') + 1
  const quad = text.slice(split)
  if (!ipaddr.IPv4.isValidFourPartDecimal(quad)) return undefined
  const [a, b, c, d] = ipaddr.IPv4.parse(quad).octets as [number, number, number, number]
  return `${text.slice(0, split)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
}

/** Parses `1.2.3.4:80` or `[::1]:80`. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const found = parseHostPort(text)
  const address = found && canonicalAddress(found.host)
  return address === undefined || found === undefined ? undefined : { address, port: found.port }
}

/** A host name or address with a port, as a user writes it for `--bootstrap`. */
export interface HostPort {
  readonly host: string
  readonly port: number
}

export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([\w.-]{1,253})):(\d{1,5})$/i.exec(text.trim())
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  return host !== undefined && port >= 1 && port <= 65535 ? { host, port } : undefined
}

/** Reads one compact endpoint: 6 bytes (IPv4) or 18 bytes (IPv6), port in network order. Undefined for any other length. */
export function decodeCompact(bytes: Uint8Array): Endpoint | undefined {
  if (bytes.length !== 6 && bytes.length !== 18) return undefined
  const split = bytes.length - 2
  const port = ((bytes[split] as number) << 8) | (bytes[split + 1] as number)
  return { address: addressFromBytes(bytes.subarray(0, split)), port }
}

/** The inverse of decodeCompact. */
export function encodeCompact(endpoint: Endpoint): Uint8Array {
  const address = addressBytes(endpoint.address)
  const bytes = new Uint8Array(address.length + 2)
  bytes.set(address)
  bytes[address.length] = endpoint.port >> 8
  bytes[address.length + 1] = endpoint.port & 0xff
  return bytes
}

/** Splits a run of compact endpoints. A trailing fragment shorter than one entry is left out. */
export function decodeCompactList(bytes: Uint8Array, family: Family, max: number): Endpoint[] {
  const size = family === 4 ? 6 : 18
  const count = Math.min(Math.floor(bytes.length / size), max)
  const endpoints: Endpoint[] = []
  for (let i = 0; i < count; i++) {
    endpoints.push(decodeCompact(bytes.subarray(i * size, (i + 1) * size)) as Endpoint)
  }
  return endpoints
}

/** Canonical text of 4 or 16 address bytes. */
export function addressFromBytes(bytes: Uint8Array): string {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`
  const parsed = new ipaddr.IPv6(Array.from(bytes))
  return parsed.isIPv4MappedAddress() ? parsed.toIPv4Address().toString() : parsed.toRFC5952String()
}

/** The 4 or 16 bytes of a canonical address. */
export function addressBytes(address: string): Uint8Array {
  return Uint8Array.from(ipaddr.parse(address).toByteArray())
}

/** The network a host is taken to belong to: its /24 (IPv4) or /48 (IPv6), as text. */
export function prefixOf(address: string): string {
  if (familyOf(address) === 4) return `${address.slice(0, address.lastIndexOf('.'))}.0/24`
  // Canonical text shows the first three groups, but for the zeros that `::` stands for.
  const [head = ''] = address.split('::', 1)
  if (head === '') return prefixOfBytes(address)
  const groups = head.split(':', 3)
  while (groups.at(-1) === '0') groups.pop()
  return `${groups.join(':')}::/48`
}

function prefixOfBytes(address: string): string {
  const bytes = addressBytes(address)
  bytes.fill(0, 6)
  return `${addressFromBytes(bytes)}/48`
}

/** Orders by address, IPv4 before IPv6 and numerically within a family, then by port. */
export function compareEndpoints(a: Endpoint, b: Endpoint): number {
  if (a.address === b.address) return a.port - b.port
  const left = addressBytes(a.address)
  const right = addressBytes(b.address)
  if (left.length !== right.length) return left.length - right.length
  for (let i = 0; i < left.length; i++) {
    const difference = (left[i] as number) - (right[i] as number)
    if (difference !== 0) return difference
  }
  return 0
}
