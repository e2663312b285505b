/**
 * Our node id. BEP 42 ties it to our external address, which the replies tell (`ip`): it is random until three nodes in
 * networks far apart agree on an address.
 */
import {
  addressBytes,
  decodeCompact,
  type Endpoint,
  type Family,
  familyOf,
  limits,
  type Random,
} from '@swarmatlas/core'
import { ID_BYTES } from './contact.ts'

export interface OwnId {
  readonly bytes: Buffer
  /** `ip` of a reply, a compact endpoint. */
  claimed(ip: Uint8Array, by: Endpoint): void
}

export function createOwnId(
  { random }: { random: Random },
  { family, saved }: { family: Family; saved?: Uint8Array | undefined },
): OwnId {
  let bytes: Buffer = Buffer.from(saved ?? random.bytes(ID_BYTES))
  /** Voters' networks by the address they claim; the oldest claim goes first. */
  const claims = new Map<string, Set<string>>()
  return {
    get bytes() {
      return bytes
    },
    claimed(ip, by) {
      const address = decodeCompact(ip)?.address
      if (address === undefined || familyOf(address) !== family || isSecureId(bytes, address)) return
      const voters = claims.get(address) ?? new Set()
      voters.add(wideNetwork(by.address))
      claims.set(address, voters)
      if (voters.size >= limits.dhtAddressVotes) {
        bytes = secureId(address, random.bytes(ID_BYTES))
        claims.clear()
      } else if (claims.size > limits.dhtAddressClaims) {
        claims.delete(claims.keys().next().value as string)
      }
    },
  }
}

/** The /8 or, of IPv6, the /32: networks that one hand seldom holds three of. */
function wideNetwork(address: string): string {
  return Buffer.from(addressBytes(address))
    .subarray(0, familyOf(address) === 4 ? 1 : 4)
    .toString('hex')
}

const MASKS: Record<Family, readonly number[]> = {
  4: [0x03, 0x0f, 0x3f, 0xff],
  6: [0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff],
}

/** BEP 42: the first 21 bits from the address and the last byte, the rest of `seed`. */
export function secureId(address: string, seed: Uint8Array): Buffer {
  const id = Buffer.from(seed)
  const prefix = securePrefix(address, id[19] as number)
  id[0] = prefix >>> 24
  id[1] = (prefix >>> 16) & 0xff
  id[2] = ((prefix >>> 8) & 0xf8) | ((id[2] as number) & 0x07)
  return id
}

export function isSecureId(id: Uint8Array, address: string): boolean {
  const prefix = securePrefix(address, id[19] as number)
  const own = (((id[0] as number) << 24) | ((id[1] as number) << 16) | ((id[2] as number) << 8)) >>> 0
  return ((prefix ^ own) & 0xfffff800) === 0
}

function securePrefix(address: string, last: number): number {
  const masks = MASKS[familyOf(address)]
  const masked = addressBytes(address).slice(0, masks.length)
  for (let i = 0; i < masks.length; i++) masked[i] = (masked[i] as number) & (masks[i] as number)
  masked[0] = (masked[0] as number) | ((last & 0x07) << 5)
  return crc32c(masked)
}

/** CRC-32C (RFC 3720, B.4). */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}
