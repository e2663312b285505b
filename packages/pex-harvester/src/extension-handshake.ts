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
  return {
    metadataId: messageId('ut_metadata', before.metadataId),
    pexId: messageId('ut_pex', before.pexId),
    metadataSize: size !== undefined && size > 0 ? size : before.metadataSize,
    clientName: name !== '' ? name : before.clientName,
    listenPort: port !== undefined && port >= 1 && port <= 65_535 ? port : before.listenPort,
    uploadOnly: uploadOnly !== undefined ? uploadOnly !== 0 : before.uploadOnly,
    yourIp: yourIp?.length === 4 || yourIp?.length === 16 ? addressFromBytes(yourIp) : before.yourIp,
  }
}
