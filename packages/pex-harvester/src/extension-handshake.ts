/** The extension handshake (BEP 10): what a peer says of itself. Every field is optional and none is believed to have its type. */
import { addressFromBytes, decodeBencode, limits, printable, read } from '@swarmatlas/core'

export interface ExtensionFacts {
  /** The peer's id for ut_metadata messages (BEP 9). */
  readonly metadataId?: number | undefined
  /** The peer's id for ut_pex messages (BEP 11). */
  readonly pexId?: number | undefined
  /** As claimed, 1 or more; no cap applied. */
  readonly metadataSize?: number | undefined
  /** `v`, made printable. */
  readonly clientName?: string | undefined
  /** `p`, 1-65535. */
  readonly listenPort?: number | undefined
  /** BEP 21. */
  readonly uploadOnly?: boolean | undefined
  /** Our address as the peer sees it. */
  readonly yourIp?: string | undefined
  /** `ipv4` and `ipv6`: its own addresses, as it says. */
  readonly ipv4?: string | undefined
  readonly ipv6?: string | undefined
  /** What it switches on in `m`, sorted. */
  readonly extensions?: readonly string[] | undefined
  /** Requests that it lets wait. */
  readonly reqq?: number | undefined
  /** `e`. */
  readonly prefersEncryption?: boolean | undefined
  /** libtorrent: it has had all pieces for so long. */
  readonly completeAgoS?: number | undefined
}

/** Adds what one extension handshake says to what earlier ones said; undefined when it is no dictionary. */
export function readExtensionHandshake(payload: Uint8Array, before: ExtensionFacts = {}): ExtensionFacts | undefined {
  const dict = decodeBencode(payload, { maxDepth: limits.extensionDepth, maxItems: limits.extensionItems })
  if (!(dict instanceof Map)) return undefined
  const m = read.dict(dict, 'm')
  const messageId = (name: string, earlier: number | undefined) => {
    const id = read.integer(m, name)
    // 0 switches an extension off.
    if (id === 0) return undefined
    return id !== undefined && id >= 1 && id <= 255 ? id : earlier
  }
  const name = printable(read.text(dict, 'v') ?? '', limits.clientNameChars).trim()
  const size = read.integer(dict, 'metadata_size')
  const port = read.integer(dict, 'p')
  const uploadOnly = read.integer(dict, 'upload_only')
  const yourIp = read.bytes(dict, 'yourip')
  const ipv4 = read.bytes(dict, 'ipv4')
  const ipv6 = read.bytes(dict, 'ipv6')
  const prefersEncryption = read.integer(dict, 'e')
  return {
    metadataId: messageId('ut_metadata', before.metadataId),
    pexId: messageId('ut_pex', before.pexId),
    metadataSize: size !== undefined && size > 0 ? size : before.metadataSize,
    clientName: name !== '' ? name : before.clientName,
    listenPort: port !== undefined && port >= 1 && port <= 65_535 ? port : before.listenPort,
    uploadOnly: uploadOnly !== undefined ? uploadOnly !== 0 : before.uploadOnly,
    yourIp: yourIp?.length === 4 || yourIp?.length === 16 ? addressFromBytes(yourIp) : before.yourIp,
    ipv4: ipv4?.length === 4 ? addressFromBytes(ipv4) : before.ipv4,
    ipv6: ipv6?.length === 16 ? addressFromBytes(ipv6) : before.ipv6,
    extensions: extensionNames(m, before.extensions),
    reqq: count(read.integer(dict, 'reqq')) ?? before.reqq,
    prefersEncryption: prefersEncryption !== undefined ? prefersEncryption !== 0 : before.prefersEncryption,
    completeAgoS: count(read.integer(dict, 'complete_ago')) ?? before.completeAgoS,
  }
}

/** Earlier ones stay unless switched off. */
function extensionNames(
  m: ReturnType<typeof read.dict>,
  before: readonly string[] = [],
): readonly string[] | undefined {
  if (m === undefined) return before
  const names = new Set(before)
  for (const key of m.keys()) {
    const name = printable(key, limits.extensionNameChars)
    if (read.integer(m, key) === 0) names.delete(name)
    else if (names.size < limits.extensionNames) names.add(name)
  }
  return [...names].sort()
}

/** Clients write -1 for what does not apply. */
function count(value: number | undefined): number | undefined {
  return value !== undefined && value >= 0 && Number.isSafeInteger(value) ? value : undefined
}
