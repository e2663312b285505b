/** What a peer must be like to be listed. */
import { addressBytes, canonicalAddress, SwarmatlasError } from '@swarmatlas/core'
import type { AnyPeerRecord, PeerFilter } from './types.ts'

/** Conditions on the record itself; swarm and round decide what is read. Throws BAD_OPTION. */
export function matches(filter: PeerFilter): (record: AnyPeerRecord) => boolean {
  const { sinceMs, untilMs, channel, evidence, role, client, country, asn, cidr, expired } = filter
  const tests: ((record: AnyPeerRecord) => boolean)[] = []
  if (expired !== true) tests.push(({ endpoint }) => endpoint !== null)
  if (sinceMs !== undefined) tests.push(({ lastSeenMs }) => lastSeenMs >= sinceMs)
  if (untilMs !== undefined) tests.push(({ firstSeenMs }) => firstSeenMs <= untilMs)
  if (channel !== undefined) tests.push(({ channels }) => channels.includes(channel))
  if (evidence !== undefined) tests.push((record) => evidence.includes(record.evidence))
  if (role !== undefined) tests.push(({ lastAnswer }) => lastAnswer?.role === role)
  if (client !== undefined) {
    const wanted = client.toLowerCase()
    tests.push(({ lastAnswer }) => lastAnswer?.client?.toLowerCase().includes(wanted) === true)
  }
  if (country !== undefined) tests.push(({ place }) => place?.country === country.toUpperCase())
  if (asn !== undefined) tests.push(({ place }) => place?.asn === asn)
  if (cidr !== undefined) {
    const inside = network(cidr)
    tests.push(({ endpoint }) => endpoint !== null && inside(endpoint.address))
  }
  return (record) => tests.every((test) => test(record))
}

/** Whether an address is in a network, which is written `203.0.113.0/24` or `2001:db8::/32`. */
function network(cidr: string): (address: string) => boolean {
  const [, text = '', length = ''] = /^([^/]+)\/(\d{1,3})$/.exec(cidr.trim()) ?? []
  const canonical = canonicalAddress(text)
  const prefix = canonical === undefined ? new Uint8Array() : addressBytes(canonical)
  const bits = Number(length)
  if (prefix.length === 0 || bits > 8 * prefix.length) {
    throw new SwarmatlasError('BAD_OPTION', `no network: ${cidr}`, {
      hint: 'write it as 203.0.113.0/24 or 2001:db8::/32',
    })
  }
  return (address) => {
    const bytes = addressBytes(address)
    if (bytes.length !== prefix.length) return false
    for (let bit = 0; bit < bits; bit += 8) {
      const mask = bits - bit >= 8 ? 0xff : (0xff << (8 - (bits - bit))) & 0xff
      if ((((bytes[bit >> 3] as number) ^ (prefix[bit >> 3] as number)) & mask) !== 0) return false
    }
    return true
  }
}
