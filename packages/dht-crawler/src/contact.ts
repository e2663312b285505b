/** Contacts: nodes as others name them, packed 26 (IPv4) or 38 (IPv6, BEP 32) bytes each. */
import { addressFromBytes, decodeCompact, type Endpoint, encodeCompact, type Family } from '@swarmatlas/core'

export interface Contact {
  readonly id: Buffer
  readonly endpoint: Endpoint
}

/** The same for the same endpoint, and cheap to make from bytes: a number for IPv4, else the 18 bytes as text. */
export type EndpointMark = number | string

export const ID_BYTES = 20
const contactBytes = (family: Family): 26 | 38 => (family === 4 ? 26 : 38)

/** The mark of the compact endpoint at `at`. */
export function markAt(bytes: Buffer, at: number, family: Family): EndpointMark {
  return family === 4 ? bytes.readUIntBE(at, 6) : bytes.toString('latin1', at, at + 18)
}

export function markOf(endpoint: Endpoint): EndpointMark {
  const bytes = encodeCompact(endpoint)
  return markAt(Buffer.from(bytes.buffer), 0, bytes.length === 6 ? 4 : 6)
}

/** The compact endpoint at `at`. */
export function endpointAt(bytes: Buffer, at: number, family: Family): Endpoint {
  const split = at + (family === 4 ? 4 : 16)
  return { address: addressFromBytes(bytes.subarray(at, split)), port: bytes.readUInt16BE(split) }
}

/** Calls `visit` with where each contact begins. */
export function eachContact(packed: Buffer, family: Family, visit: (at: number) => void): void {
  const size = contactBytes(family)
  for (let at = 0; at + size <= packed.length; at += size) visit(at)
}

export function unpackContacts(packed: Buffer, family: Family): Contact[] {
  const contacts: Contact[] = []
  eachContact(packed, family, (at) => {
    const id = packed.subarray(at, at + ID_BYTES)
    contacts.push({
      id,
      endpoint: decodeCompact(packed.subarray(at + ID_BYTES, at + contactBytes(family))) as Endpoint,
    })
  })
  return contacts
}

/** The inverse of unpackContacts. */
export function packContacts(contacts: readonly Contact[]): Buffer {
  return Buffer.concat(contacts.flatMap(({ id, endpoint }) => [id, encodeCompact(endpoint)]))
}
