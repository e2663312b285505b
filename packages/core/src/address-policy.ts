/**
 * The address policy: the one choke point that decides whether anything may be sent to an endpoint. Peer lists are
 * hostile input; without it a magnet, a DHT reply or a tracker redirect could aim us at a victim.
 */
import ipaddr from 'ipaddr.js'
import { type Endpoint, familyOf, prefixOf } from './endpoint.ts'
import { limits } from './limits.ts'
import type { Profile } from './profiles.ts'
import type { Clock } from './seams.ts'

export type Purpose = 'dht' | 'bootstrap' | 'peer' | 'tracker'
export type Transport = 'udp' | 'tcp'

export type RefusalReason =
  /** Not a public unicast address (or not one that `--allow-private` admits). */
  | 'address'
  /** Port 0, or below 1024 where the purpose does not allow it. */
  | 'low-port'
  /** A port on which a victim listens: see FORBIDDEN_PORTS. */
  | 'service-port'
  /** Too many ports of one address in an hour. */
  | 'ports-per-address'
  /** Too many first contacts in one network in an hour. */
  | 'prefix-rate'
  /** Too many new endpoints in a minute; `retryAfterMs` says when to ask again. */
  | 'new-endpoint-rate'
  | 'opt-out'
  /** All traffic is bound to an address of the other family. */
  | 'family'

export interface Refusal {
  readonly reason: RefusalReason
  /** Set when waiting helps. */
  readonly retryAfterMs?: number
}

/** How well a peer claim is founded: below port 1024 only a claim that two channels make is dialled. */
export interface Claim {
  readonly channels: number
}

export interface AddressPolicy {
  /** Judges without counting: undefined when the endpoint is allowed in principle. */
  judge(purpose: Purpose, transport: Transport, to: Endpoint, claim?: Claim): Refusal | undefined
  /** Judges and, when allowed, counts the contact. Call it for every datagram and every dial. */
  admit(purpose: Purpose, transport: Transport, to: Endpoint, claim?: Claim): Refusal | undefined
  /** The endpoint answered as what it was said to be: its address earns further ports. */
  vouch(purpose: Purpose, from: Endpoint): void
}

export interface AddressPolicyOptions {
  profile: Profile
  /** Admits loopback, private, link-local, carrier-grade NAT, unique-local and documentation addresses. */
  allowPrivate?: boolean
  /** Addresses and CIDR ranges never to be contacted. */
  optOut?: readonly string[]
  /** Only these families leave; undefined means both. */
  families?: readonly (4 | 6)[]
}

/** What `--allow-private` admits beside public unicast. Never multicast, broadcast or the unspecified address. */
const PRIVATE_RANGES = new Set(['loopback', 'private', 'linkLocal', 'carrierGradeNat', 'uniqueLocal'])
/** 2001:db8::/32 and 192.0.2.0/24 and its like: labs use them, nobody else answers there. */
const DOCUMENTATION: readonly [string, number][] = [
  ['192.0.2.0', 24],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['2001:db8::', 32],
]

/** Ports above 1023, or allowed below it, where an unexpected packet harms or alarms the one who listens. */
const FORBIDDEN_PORTS: Readonly<Record<Transport, ReadonlyMap<number, string>>> = {
  udp: new Map([
    [1, 'no peer listens there: sign of a poisoned list'],
    [19, 'chargen: amplifier'],
    [53, 'DNS: amplifier'],
    [69, 'TFTP'],
    [111, 'rpcbind: amplifier, data centres complain'],
    [123, 'NTP: amplifier'],
    [137, 'NetBIOS'],
    [161, 'SNMP: amplifier'],
    [389, 'CLDAP: amplifier'],
    [500, 'IKE'],
    [1194, 'OpenVPN'],
    [1701, 'L2TP'],
    [1900, 'SSDP: amplifier'],
    [3283, 'Apple Remote Desktop: amplifier'],
    [3478, 'STUN'],
    [3702, 'WS-Discovery: amplifier'],
    [4500, 'IPsec NAT traversal'],
    [5060, 'SIP'],
    [5351, 'NAT-PMP'],
    [5353, 'mDNS'],
    [11211, 'memcached: amplifier'],
    [27015, 'game servers'],
    [51820, 'WireGuard'],
  ]),
  tcp: new Map([
    [1, 'no peer listens there: sign of a poisoned list'],
    [22, 'SSH: reads as an attack'],
    [23, 'Telnet'],
    [25, 'SMTP'],
    [53, 'DNS'],
    [110, 'POP3'],
    [111, 'rpcbind'],
    [135, 'Windows RPC'],
    [139, 'NetBIOS'],
    [143, 'IMAP'],
    [389, 'LDAP'],
    [445, 'SMB'],
    [465, 'SMTP'],
    [587, 'SMTP'],
    [993, 'IMAP'],
    [995, 'POP3'],
    [1433, 'SQL Server'],
    [1521, 'Oracle'],
    [1723, 'PPTP'],
    [2049, 'NFS'],
    [2375, 'Docker'],
    [3306, 'MySQL'],
    [3389, 'RDP: reads as an attack'],
    [5060, 'SIP'],
    [5432, 'PostgreSQL'],
    [5900, 'VNC'],
    [6379, 'Redis'],
    [6443, 'Kubernetes'],
    [9200, 'Elasticsearch'],
    [11211, 'memcached'],
    [25565, 'Minecraft'],
    [27017, 'MongoDB'],
  ]),
}

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000

export function createAddressPolicy(
  { clock }: { clock: Pick<Clock, 'monotonic'> },
  { profile, allowPrivate = false, optOut = [], families }: AddressPolicyOptions,
): AddressPolicy {
  const optedOut = optOut.map(parseRange)
  const addresses = new HourlyCounts(clock)
  const prefixes = new HourlyCounts(clock)
  const earned = new HourlyCounts(clock)
  const newEndpoints = new Rate(clock, profile.newEndpointsPerMinute)

  function judge(purpose: Purpose, transport: Transport, to: Endpoint, claim?: Claim): Refusal | undefined {
    if (families !== undefined && !families.includes(familyOf(to.address))) return { reason: 'family' }
    if (!isUnicast(to.address, allowPrivate)) return { reason: 'address' }
    if (!Number.isInteger(to.port) || to.port < 1 || to.port > 65_535) return { reason: 'low-port' }
    if (FORBIDDEN_PORTS[transport].has(to.port)) return { reason: 'service-port' }
    if (to.port < 1024) {
      const wellKnown = purpose === 'tracker' || (transport === 'udp' && purpose === 'bootstrap')
      const claimed = transport === 'tcp' && purpose === 'peer' && (claim?.channels ?? 0) >= 2
      if (!wellKnown && !claimed) return { reason: 'low-port' }
    }
    if (optedOut.length > 0 && optedOut.some((range) => inRange(to.address, range))) return { reason: 'opt-out' }
    return undefined
  }

  return {
    judge,
    admit(purpose, transport, to, claim) {
      const refusal = judge(purpose, transport, to, claim)
      if (refusal !== undefined) return refusal
      const address = `${purpose} ${to.address}`
      if (addresses.has(address, to.port)) return undefined
      const allowance = profile.portsPerAddress * (1 + earned.size(address))
      if (addresses.size(address) >= allowance) return { reason: 'ports-per-address' }
      const prefix = `${purpose} ${prefixOf(to.address)}`
      if (prefixes.size(prefix) >= profile.firstContactsPerPrefix) return { reason: 'prefix-rate' }
      const waitMs = newEndpoints.take()
      if (waitMs > 0) return { reason: 'new-endpoint-rate', retryAfterMs: waitMs }
      addresses.add(address, to.port)
      if (profile.firstContactsPerPrefix !== Number.POSITIVE_INFINITY) {
        prefixes.add(prefix, `${to.address} ${to.port}`)
      }
      return undefined
    },
    vouch(purpose, from) {
      earned.add(`${purpose} ${from.address}`, from.port)
    },
  }
}

/** True for public unicast addresses; with `allowPrivate` also for those of a lab. */
export function isUnicast(address: string, allowPrivate: boolean): boolean {
  const parsed = ipaddr.parse(address)
  const range: string = parsed.range()
  if (range === 'unicast') return true
  if (!allowPrivate) return false
  return PRIVATE_RANGES.has(range) || DOCUMENTATION.some((documentation) => inRange(address, documentation))
}

type Range = readonly [address: string, bits: number]

function parseRange(text: string): Range {
  const [address = '', bits] = text.split('/')
  const whole = familyOf(address) === 4 ? 32 : 128
  return [address, bits === undefined ? whole : Number(bits)]
}

function inRange(address: string, [network, bits]: Range): boolean {
  const parsed = ipaddr.parse(address)
  const base = ipaddr.parse(network)
  return parsed.kind() === base.kind() && parsed.match(base, bits)
}

/**
 * Distinct members per key over the last hour, in two generations: a member is forgotten between one and two hours
 * after it was last added, and at the latest when the history is full.
 */
class HourlyCounts {
  #current = new Map<string, Set<string | number>>()
  #previous = new Map<string, Set<string | number>>()
  #members = 0
  #startedMs: number
  readonly #clock: Pick<Clock, 'monotonic'>

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
    this.#startedMs = clock.monotonic()
  }

  has(key: string, member: string | number): boolean {
    this.#rotate()
    return this.#current.get(key)?.has(member) === true || this.#previous.get(key)?.has(member) === true
  }

  add(key: string, member: string | number): void {
    this.#rotate()
    let members = this.#current.get(key)
    if (members === undefined) {
      members = new Set()
      this.#current.set(key, members)
    }
    if (members.size !== members.add(member).size) this.#members++
  }

  size(key: string): number {
    this.#rotate()
    const current = this.#current.get(key)
    const previous = this.#previous.get(key)
    if (current === undefined || previous === undefined) return (current ?? previous)?.size ?? 0
    return new Set([...current, ...previous]).size
  }

  #rotate(): void {
    const now = this.#clock.monotonic()
    if (now - this.#startedMs < HOUR_MS && this.#members < limits.policyHistory) return
    this.#previous = now - this.#startedMs < 2 * HOUR_MS ? this.#current : new Map()
    this.#current = new Map()
    this.#members = 0
    this.#startedMs = now
  }
}

/** A token bucket that holds at most ten seconds' worth: a burst that a router survives. */
class Rate {
  readonly #perMs: number
  readonly #burst: number
  readonly #clock: Pick<Clock, 'monotonic'>
  #tokens: number
  #atMs: number

  constructor(clock: Pick<Clock, 'monotonic'>, perMinute: number) {
    this.#clock = clock
    this.#perMs = perMinute / MINUTE_MS
    this.#burst = Math.max(1, perMinute / 6)
    this.#tokens = this.#burst
    this.#atMs = clock.monotonic()
  }

  /** 0 when a token was taken, else the milliseconds until there is one. */
  take(): number {
    if (this.#perMs === Number.POSITIVE_INFINITY) return 0
    const now = this.#clock.monotonic()
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#atMs) * this.#perMs)
    this.#atMs = now
    if (this.#tokens >= 1) {
      this.#tokens--
      return 0
    }
    return Math.ceil((1 - this.#tokens) / this.#perMs)
  }
}
