/**
 * The address policy: the one choke point that decides whether anything may be sent to an endpoint. Peer lists are
 * hostile input; without it a magnet, a DHT reply or a tracker redirect could aim us at a victim.
 */
import { isUnicast, parseRange, type Range, rangeSet } from './address-ranges.ts'
import type { Blocklist } from './blocklist.ts'
import { type Endpoint, familyOf, prefixOf } from './endpoint.ts'
import { SwarmatlasError } from './errors.ts'
import { FORBIDDEN_PORTS, type Transport } from './forbidden-ports.ts'
import { HourlyCounts } from './hourly-counts.ts'
import { limits } from './limits.ts'
import type { Profile } from './profiles.ts'
import type { Clock } from './seams.ts'
import { printable } from './text.ts'
import { TokenBucket } from './token-bucket.ts'

export type Purpose = 'dht' | 'bootstrap' | 'peer' | 'tracker'
export type { Transport }

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
  /** The user's blocklist names it. */
  | 'blocklist'
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
  /** What it goes by: collectors take their own limits from the same profile. */
  readonly profile: Profile
  /** Judges without counting: undefined when the endpoint is allowed in principle. */
  judge(purpose: Purpose, transport: Transport, to: Endpoint, claim?: Claim): Refusal | undefined
  /** As judge, of somebody who came to us: its port is one that it sends from, so that nothing follows from it. */
  judgeCaller(from: Pick<Endpoint, 'address'>): Refusal | undefined
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
  /** Likewise, as read from a file of the user's. */
  blocklist?: Pick<Blocklist, 'has'> | undefined
  /** Only these families leave; undefined means both. */
  families?: readonly (4 | 6)[]
}

export function createAddressPolicy(
  { clock }: { clock: Pick<Clock, 'monotonic'> },
  { profile, allowPrivate = false, optOut = [], blocklist, families }: AddressPolicyOptions,
): AddressPolicy {
  const { newEndpointsPerMinute, portsPerAddress, firstContactsPerPrefix } = profile
  for (const [name, value] of Object.entries({ newEndpointsPerMinute, portsPerAddress, firstContactsPerPrefix })) {
    if (!(value >= 1))
      throw new SwarmatlasError('BAD_OPTION', `profile ${profile.name}: ${name} is ${value}, not 1 or more`)
  }
  const optedOut = rangeSet(optOut.map(mustParseRange))
  const contacts = new HourlyCounts(clock, (contact) => {
    const { purpose, address } = splitContact(contact)
    return [`${purpose} ${address}`, `${purpose} ${prefixOf(address)}`]
  })
  const vouched = new HourlyCounts(clock, (contact) => {
    const { purpose, address } = splitContact(contact)
    return [`${purpose} ${address}`]
  })
  const newEndpoints = new TokenBucket(clock, newEndpointsPerMinute)

  function judgeFamily(to: Pick<Endpoint, 'address'>): Refusal | undefined {
    return families === undefined || families.includes(familyOf(to.address)) ? undefined : { reason: 'family' }
  }

  function judgeAddress(to: Pick<Endpoint, 'address'>): Refusal | undefined {
    if (!isUnicast(to.address, allowPrivate)) return { reason: 'address' }
    if (optedOut.has(to.address)) return { reason: 'opt-out' }
    return blocklist?.has(to.address) ? { reason: 'blocklist' } : undefined
  }

  function judge(purpose: Purpose, transport: Transport, to: Endpoint, claim?: Claim): Refusal | undefined {
    return judgeFamily(to) ?? judgeAddress(to) ?? judgePort(purpose, transport, to.port, claim)
  }

  return {
    profile,
    judge,
    judgeCaller: (from) => judgeFamily(from) ?? judgeAddress(from),
    admit(purpose, transport, to, claim) {
      // Called for every datagram: what depends on the address alone was judged at the first contact.
      const refusal = judgeFamily(to) ?? judgePort(purpose, transport, to.port, claim)
      const contact = `${purpose} ${to.address} ${to.port}`
      if (refusal === undefined && contacts.touch(contact)) return undefined
      const final = judge(purpose, transport, to, claim)
      if (final !== undefined) return final
      const address = `${purpose} ${to.address}`
      const allowance = portsPerAddress * (1 + vouched.size(address))
      if (contacts.size(address) >= allowance) return { reason: 'ports-per-address' }
      if (contacts.size(`${purpose} ${prefixOf(to.address)}`) >= firstContactsPerPrefix)
        return { reason: 'prefix-rate' }
      const waitMs = newEndpoints.take()
      if (waitMs > 0) return { reason: 'new-endpoint-rate', retryAfterMs: waitMs }
      contacts.add(contact)
      return undefined
    },
    vouch(purpose, from) {
      vouched.add(`${purpose} ${from.address} ${from.port}`)
    },
  }
}

function judgePort(purpose: Purpose, transport: Transport, port: number, claim?: Claim): Refusal | undefined {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return { reason: 'low-port' }
  if (FORBIDDEN_PORTS[transport].has(port)) return { reason: 'service-port' }
  if (port >= 1024) return undefined
  const wellKnown = purpose === 'tracker' || (transport === 'udp' && purpose === 'bootstrap')
  const claimed = transport === 'tcp' && purpose === 'peer' && (claim?.channels ?? 0) >= 2
  return wellKnown || claimed ? undefined : { reason: 'low-port' }
}

function splitContact(contact: string): { purpose: string; address: string } {
  const [purpose = '', address = ''] = contact.split(' ')
  return { purpose, address }
}

function mustParseRange(text: string): Range {
  const range = parseRange(text)
  if (range === undefined) {
    throw new SwarmatlasError(
      'BAD_OPTION',
      `opt-out '${printable(text, limits.excerptChars)}': not an address or CIDR range`,
    )
  }
  return range
}
