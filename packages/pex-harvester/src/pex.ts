/** Peer exchange, ut_pex (BEP 11), read only. One malformed entry costs that entry; ADR 0005 says why not the ut_pex package. */
import { decodeBencode, decodeCompact, type Endpoint, endpointKey, limits, type PexFlags, read } from '@swarmatlas/core'

export interface PexPeer {
  readonly endpoint: Endpoint
  /** Absent when the message has fewer flags than peers. */
  readonly flags?: PexFlags
}

export interface PexMessage {
  readonly added: readonly PexPeer[]
  readonly dropped: readonly Endpoint[]
  /** Entries that are no endpoint: cut short, port 0, or of a list that is no byte string. */
  readonly malformed: number
  /** Entries over limits.pexEntries, unread. */
  readonly cut: number
}

/** Reads a message; undefined when it is no dictionary. */
export function decodePex(payload: Uint8Array): PexMessage | undefined {
  const dict = decodeBencode(payload, { maxDepth: limits.extensionDepth, maxItems: limits.extensionItems })
  if (!(dict instanceof Map)) return undefined
  const added: PexPeer[] = []
  const dropped: Endpoint[] = []
  let malformed = 0
  let cut = 0
  let left: number = limits.pexEntries

  const readList = (key: string, entryBytes: 6 | 18, keep: (endpoint: Endpoint, index: number) => void) => {
    const list = read.bytes(dict, key)
    if (list === undefined) {
      if (dict.has(key)) malformed++
      return
    }
    const whole = Math.floor(list.length / entryBytes)
    if (list.length % entryBytes !== 0) malformed++
    const taken = Math.min(whole, left)
    left -= taken
    cut += whole - taken
    const seen = new Set<string>()
    for (let i = 0; i < taken; i++) {
      const endpoint = decodeCompact(list.subarray(i * entryBytes, (i + 1) * entryBytes)) as Endpoint
      const known = seen.size === seen.add(endpointKey(endpoint)).size
      if (endpoint.port === 0) malformed++
      else if (!known) keep(endpoint, i)
    }
  }
  const keepAdded = (flags: Uint8Array | undefined) => (endpoint: Endpoint, index: number) => {
    const bits = flags?.[index]
    added.push(bits === undefined ? { endpoint } : { endpoint, flags: pexFlags(bits) })
  }
  const keepDropped = (endpoint: Endpoint) => void dropped.push(endpoint)

  readList('added', 6, keepAdded(read.bytes(dict, 'added.f')))
  readList('added6', 18, keepAdded(read.bytes(dict, 'added6.f')))
  readList('dropped', 6, keepDropped)
  readList('dropped6', 18, keepDropped)
  return { added, dropped, malformed, cut }
}

function pexFlags(bits: number): PexFlags {
  return {
    prefersEncryption: (bits & 0x01) !== 0,
    seed: (bits & 0x02) !== 0,
    utp: (bits & 0x04) !== 0,
    holepunch: (bits & 0x08) !== 0,
    reachable: (bits & 0x10) !== 0,
  }
}
