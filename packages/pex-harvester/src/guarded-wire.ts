/**
 * bittorrent-protocol, kept on a short leash. Of what a peer sends it is shown the handshake and those messages that we
 * read, each whole and of a valid length; of its own accord it would reject requests (BEP 6), end itself on fast
 * messages without the fast bit, and decode extension handshakes without bounds. What it sends is our handshake, our
 * extension handshake, have-none, metadata requests and, to who dialled us, metadata: no keep-alive, since a session ends before the two minutes of
 * BEP 3 are over.
 */
import { Buffer } from 'node:buffer'
import type { InfoHash } from '@swarmatlas/core'
import Wire from 'bittorrent-protocol'
import { EXTENDED, type Frame } from './frame-guard.ts'

export interface PeerHandshake {
  readonly infoHash: string
  /** 40 hex digits. */
  readonly peerId: string
  /** It speaks BEP 10. */
  readonly extended: boolean
  /** Its reserved bytes, 16 hex digits. */
  readonly reserved: string
}

export interface WireHandlers {
  /** Bytes for the peer. */
  send(bytes: Uint8Array): void
  handshake(handshake: PeerHandshake): void
  bitfield(bits: Uint8Array): void
  have(piece: number): void
  haveAll(): void
  haveNone(): void
  dontHave(piece: number): void
  /** Its DHT node's port (BEP 5). */
  port(port: number): void
  /** An extension handshake (BEP 10), undecoded. */
  extensionHandshake(payload: Uint8Array): void
  /** A message under one of our ids (see OUR_IDS). */
  metadata(payload: Uint8Array): void
  pex(payload: Uint8Array): void
}

export interface GuardedWire {
  handshake(swarm: InfoHash, peerId: Uint8Array, options: { private: boolean }): void
  /** Gives a frame to the wire; its handlers have run on return. A problem is what the peer did wrong in it. */
  feed(frame: Frame): { problem: string } | undefined
  /** Sends an extension message under the peer's id. */
  extended(id: number, payload: Uint8Array): void
  destroy(): void
}

const OUR_IDS = { metadata: 1, pex: 2, dontHave: 3 } as const

const BITFIELD = 5
const HAVE_ALL = 14
const HAVE_NONE = 15
/** Messages that are read, with the length that they must have (id included); the others say nothing that we ask for. */
const READ: ReadonlyMap<number, number | undefined> = new Map([
  [4, 5],
  [BITFIELD, undefined],
  [9, 3],
  [HAVE_ALL, 1],
  [HAVE_NONE, 1],
  [EXTENDED, undefined],
])

export interface WireOptions {
  clientName: string
  /** `p` and `metadata_size` of our extension handshake. */
  listenPort?: number | undefined
  metadataSize?: number | undefined
}

export function createGuardedWire(
  handlers: WireHandlers,
  { clientName, listenPort, metadataSize }: WireOptions,
): GuardedWire {
  const wire = new Wire()
  let reserved = ''
  wire.extendedHandshake = {
    v: clientName,
    ...(listenPort !== undefined && { p: listenPort }),
    ...(metadataSize !== undefined && { metadata_size: metadataSize }),
  }
  wire.on('data', (bytes: Uint8Array) => handlers.send(bytes))
  wire.on('error', () => {})
  wire.on('handshake', (infoHash: string, peerId: string, { extended }: { extended: boolean }) => {
    // BEP 6: at once after the handshake, before the extension handshake that the wire sends next.
    if (wire.hasFast) wire.haveNone()
    handlers.handshake({ infoHash, peerId, extended, reserved })
  })
  wire.on('bitfield', ({ buffer }: { buffer: Uint8Array }) => handlers.bitfield(buffer))
  wire.on('have', (piece: number) => handlers.have(piece >>> 0))
  wire.on('have-all', () => handlers.haveAll())
  wire.on('have-none', () => handlers.haveNone())
  wire.on('port', (port: number) => handlers.port(port))
  wire.on('extended', (name: string | number, payload: Uint8Array) => {
    if (name === 'ut_metadata') handlers.metadata(payload)
    else if (name === 'ut_pex') handlers.pex(payload)
    else if (name === 'lt_donthave' && payload.length === 4) handlers.dontHave(Buffer.from(payload).readUInt32BE())
  })

  // Called directly: through the stream's queue an exception of a handler would have nobody to catch it.
  const write = (bytes: Uint8Array) => wire._write(bytes, () => {})

  return {
    handshake(swarm, peerId, { private: isPrivate }) {
      wire.extendedMapping = {
        [OUR_IDS.metadata]: 'ut_metadata',
        [OUR_IDS.dontHave]: 'lt_donthave',
        ...(isPrivate ? {} : { [OUR_IDS.pex]: 'ut_pex' }),
      }
      wire.handshake(swarm, peerId, { dht: !isPrivate, fast: true })
    },
    feed({ kind, bytes }) {
      if (kind === 'handshake') {
        reserved = Buffer.from(bytes.subarray(20, 28)).toString('hex')
        write(bytes)
        return undefined
      }
      const id = bytes[0] as number
      if (!READ.has(id)) return undefined
      const length = READ.get(id)
      if (length !== undefined && bytes.length !== length)
        return { problem: `a message ${id} of ${bytes.length} bytes` }
      if ((id === HAVE_ALL || id === HAVE_NONE) && !wire.hasFast)
        return { problem: 'a fast message without the fast bit' }
      if (id === EXTENDED && bytes[1] === 0) {
        handlers.extensionHandshake(bytes.subarray(2))
        return undefined
      }
      const prefix = Buffer.alloc(4)
      prefix.writeUInt32BE(bytes.length)
      write(prefix)
      write(bytes)
      return undefined
    },
    extended: (id, payload) => wire.extended(id, payload),
    destroy: () => wire.destroy(),
  }
}
