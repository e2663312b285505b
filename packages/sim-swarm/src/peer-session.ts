/** One connection to a simulated peer: handshake (BEP 3, 6, 10), metadata (BEP 9), peer exchange (BEP 11), upload-only (BEP 21). */
import {
  addressBytes,
  type BencodedDict,
  type Clock,
  type Endpoint,
  encodeCompact,
  familyOf,
  type InfoHash,
  infoHashFromBytes,
  read,
  type TcpStream,
  type Timer,
} from '@swarmatlas/core'
import { bounds } from './bounds.ts'
import type { SimCounters } from './counters.ts'
import {
  decodeExtended,
  decodeHandshake,
  encodeExtended,
  encodeHandshake,
  encodeMessage,
  HANDSHAKE_BYTES,
  mayBeHandshake,
  messageId,
} from './wire.ts'

export interface PexEntry {
  readonly endpoint: Endpoint
  readonly flags: number
}

/** What a peer says of itself. */
export interface Persona {
  readonly hashes: readonly InfoHash[]
  readonly peerId: Uint8Array
  readonly client: string | undefined
  readonly listenPort: number
  /** Which pieces it has, by index. */
  readonly pieces: readonly boolean[]
  readonly uploadOnly: boolean
  readonly infoBytes: Uint8Array
  readonly withholdsMetadata: boolean
  readonly private: boolean
}

/** Ids under which the peer wants to be sent extension messages. */
const OUR_PEX = 1
const OUR_METADATA = 2
const METADATA_REQUEST = 0
const METADATA_DATA = 1
const METADATA_REJECT = 2

export function runSession(
  { clock, counters }: { clock: Pick<Clock, 'timer'>; counters: SimCounters },
  {
    stream,
    from,
    persona,
    connected,
  }: { stream: TcpStream; from: Endpoint; persona: Persona; connected: readonly PexEntry[] },
): void {
  let pending: Buffer = Buffer.alloc(0)
  let handshaken = false
  /** Ids under which the client wants ut_pex and ut_metadata; 0: not at all. */
  let theirPex = 0
  let theirMetadata = 0
  let pexTimer: Timer | undefined

  stream.on('data', (chunk: Uint8Array) => {
    pending = Buffer.concat([pending, chunk])
    while (!stream.destroyed && takeNext());
  })
  stream.on('close', () => pexTimer?.cancel())

  function send(bytes: Uint8Array): void {
    if (stream.destroyed || !stream.writable) return
    stream.write(bytes)
    if (stream.writableLength > bounds.peerUnsentBytes) stream.destroy()
  }

  function reject(): false {
    counters.peerRejected++
    stream.destroy()
    return false
  }

  /** Takes one handshake or message from `pending`; false when there is none. */
  function takeNext(): boolean {
    if (!handshaken) {
      if (!mayBeHandshake(pending)) return reject()
      if (pending.length < HANDSHAKE_BYTES) return false
      const bytes = pending.subarray(0, HANDSHAKE_BYTES)
      pending = pending.subarray(HANDSHAKE_BYTES)
      return onHandshake(bytes)
    }
    if (pending.length < 4) return false
    const length = pending.readUInt32BE(0)
    if (length > bounds.peerMessageBytes) return reject()
    if (pending.length < 4 + length) return false
    const message = pending.subarray(4, 4 + length)
    pending = pending.subarray(4 + length)
    if (length > 0) onMessage(message[0] as number, message.subarray(1))
    return true
  }

  function onHandshake(bytes: Uint8Array): boolean {
    const { reserved, infoHash } = decodeHandshake(bytes)
    if (!persona.hashes.includes(infoHashFromBytes(infoHash))) return reject()
    handshaken = true
    counters.peerHandshakes++
    const { fast } = reserved
    send(
      encodeHandshake({
        reserved: { extensions: true, fast, dht: !persona.private },
        infoHash,
        peerId: persona.peerId,
      }),
    )
    const share = shareMessage(persona.pieces, fast)
    if (share !== undefined) send(share)
    if (reserved.extensions) sendExtensionHandshake()
    return true
  }

  function sendExtensionHandshake(): void {
    send(
      encodeExtended(0, {
        m: { ut_metadata: OUR_METADATA, ut_pex: persona.private ? undefined : OUR_PEX },
        metadata_size: persona.infoBytes.length,
        p: persona.listenPort,
        reqq: bounds.peerRequestQueue,
        upload_only: persona.uploadOnly ? 1 : undefined,
        v: persona.client,
        yourip: addressBytes(from.address),
      }),
    )
  }

  function onMessage(id: number, payload: Uint8Array): void {
    if (id === messageId.interested) counters.interestedReceived++
    else if (id === messageId.request) counters.pieceRequestsReceived++
    else if (isClaim(id)) counters.pieceClaimsReceived++
    else if (id === messageId.extended) {
      const message = decodeExtended(payload)
      if (message === undefined) return
      if (message.id === 0) onExtensionHandshake(message.dict)
      else if (message.id === OUR_PEX) counters.pexReceived++
      else if (message.id === OUR_METADATA) onMetadata(message.dict)
    }
  }

  function onExtensionHandshake(dict: BencodedDict): void {
    const names = read.dict(dict, 'm')
    theirMetadata = read.integer(names, 'ut_metadata') ?? theirMetadata
    theirPex = read.integer(names, 'ut_pex') ?? theirPex
    if (isExtensionId(theirPex) && connected.length > 0) pexTimer ??= clock.timer(bounds.pexDelayMs, sendPex)
  }

  function onMetadata(dict: BencodedDict): void {
    const piece = read.integer(dict, 'piece')
    if (read.integer(dict, 'msg_type') !== METADATA_REQUEST || piece === undefined) return
    counters.metadataRequests++
    if (!isExtensionId(theirMetadata) || persona.withholdsMetadata) return
    const { infoBytes } = persona
    const start = piece * bounds.metadataPieceBytes
    if (piece < 0 || start >= infoBytes.length)
      send(encodeExtended(theirMetadata, { msg_type: METADATA_REJECT, piece }))
    else {
      const head = { msg_type: METADATA_DATA, piece, total_size: infoBytes.length }
      send(encodeExtended(theirMetadata, head, infoBytes.subarray(start, start + bounds.metadataPieceBytes)))
    }
  }

  function sendPex(): void {
    for (let at = 0; at < connected.length; at += bounds.pexAdded) {
      const entries = connected.slice(at, at + bounds.pexAdded)
      const [added, flags] = compactOf(entries, 4)
      const [added6, flags6] = compactOf(entries, 6)
      send(encodeExtended(theirPex, { added, 'added.f': flags, added6, 'added6.f': flags6, dropped: '', dropped6: '' }))
      counters.pexSent++
    }
  }
}

function isExtensionId(id: number): boolean {
  return id >= 1 && id <= 255
}

function isClaim(id: number): boolean {
  return id === messageId.have || id === messageId.bitfield || id === messageId.piece || id === messageId.haveAll
}

function compactOf(entries: readonly PexEntry[], family: 4 | 6): [endpoints: Uint8Array, flags: Uint8Array] {
  const own = entries.filter(({ endpoint }) => familyOf(endpoint.address) === family)
  return [Buffer.concat(own.map(({ endpoint }) => encodeCompact(endpoint))), Uint8Array.from(own, ({ flags }) => flags)]
}

/** The first message after the handshake: which pieces it has. Without the fast extension, none may go unsaid. */
function shareMessage(pieces: readonly boolean[], fast: boolean): Uint8Array | undefined {
  const count = pieces.filter(Boolean).length
  if (fast && count === pieces.length) return encodeMessage(messageId.haveAll)
  if (count === 0) return fast ? encodeMessage(messageId.haveNone) : undefined
  const bits = new Uint8Array(Math.ceil(pieces.length / 8))
  for (const [index, has] of pieces.entries()) {
    if (has) bits[index >> 3] = (bits[index >> 3] as number) | (0x80 >> (index & 7))
  }
  return encodeMessage(messageId.bitfield, bits)
}
