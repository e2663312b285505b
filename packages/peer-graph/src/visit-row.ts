/** The value of a visit row. A failed visit takes about 10 bytes, one with a handshake about 60. */
import type { Outcome, Role, Visit } from '@swarmatlas/core'
import { ByteReader, ByteWriter } from './bytes.ts'
import type { StoredVisit } from './types.ts'

/** The key holds the time and the wire hash. */
export type VisitRow = Omit<StoredVisit, 'atMs' | 'swarm'>

const outcomeCodes: Record<Outcome, number> = {
  ok: 0,
  timeout: 1,
  refused: 2,
  reset: 3,
  unreachable: 4,
  'bad-message': 5,
  'over-budget': 6,
  forbidden: 7,
  'not-tried': 8,
}
const outcomes = Object.keys(outcomeCodes) as Outcome[]
const roles: readonly (Role | undefined)[] = [undefined, 'seed', 'leech', 'partial']

const bit = { opened: 1, handshaken: 2, refuted: 4, utp: 8, mse: 16, pexTold: 32, pexSpoken: 64 } as const
/** Which optional fields follow; the lowest two bits are the role. */
const has = { progress: 4, peerId: 8, client: 16, listenPort: 32, metadataSize: 64, attempts: 128 } as const

export function encodeVisit(visit: Visit): Buffer {
  const { progress, client, listenPort, metadataSize, attempts } = visit
  const peerId = visit.peerId === undefined ? undefined : Buffer.from(visit.peerId, 'hex')
  const hasPeerId = peerId?.length === 20
  const writer = new ByteWriter()
    .u8(outcomeCodes[visit.outcome])
    .u8(
      (visit.opened ? bit.opened : 0) |
        (visit.handshaken ? bit.handshaken : 0) |
        (visit.refuted ? bit.refuted : 0) |
        (visit.transport === 'utp' ? bit.utp : 0) |
        (visit.encryption === 'mse' ? bit.mse : 0) |
        (visit.speaksPex === undefined ? 0 : bit.pexTold) |
        (visit.speaksPex === true ? bit.pexSpoken : 0),
    )
    .u8(
      roles.indexOf(visit.role) |
        (progress === undefined ? 0 : has.progress) |
        (hasPeerId ? has.peerId : 0) |
        (client === undefined ? 0 : has.client) |
        (listenPort === undefined ? 0 : has.listenPort) |
        (metadataSize === undefined ? 0 : has.metadataSize) |
        (attempts === undefined ? 0 : has.attempts),
    )
    .varint(visit.pexAdded)
    .varint(visit.durationMs)
    .varint(visit.bytesIn)
    .varint(visit.bytesOut)
  if (progress !== undefined) writer.double(progress)
  if (hasPeerId) writer.raw(peerId)
  // A peer may call itself by its own address, which no fact may hold.
  if (client !== undefined) writer.text(client.replaceAll(visit.peer.address, '…'))
  if (listenPort !== undefined) writer.varint(listenPort)
  if (metadataSize !== undefined) writer.varint(metadataSize)
  if (attempts !== undefined) writer.varint(attempts)
  return writer.finish()
}

export function decodeVisit(bytes: Buffer): VisitRow {
  const reader = new ByteReader(bytes, 'a visit')
  const outcome = outcomes[reader.u8()]
  if (outcome === undefined) throw reader.corrupt()
  const bits = reader.u8()
  const fields = reader.u8()
  const role = roles[fields & 3]
  return {
    outcome,
    opened: (bits & bit.opened) !== 0,
    handshaken: (bits & bit.handshaken) !== 0,
    refuted: (bits & bit.refuted) !== 0,
    transport: (bits & bit.utp) !== 0 ? 'utp' : 'tcp',
    encryption: (bits & bit.mse) !== 0 ? 'mse' : 'plain',
    ...(bits & bit.pexTold ? { speaksPex: (bits & bit.pexSpoken) !== 0 } : {}),
    ...(role === undefined ? {} : { role }),
    pexAdded: reader.varint(),
    durationMs: reader.varint(),
    bytesIn: reader.varint(),
    bytesOut: reader.varint(),
    ...(fields & has.progress ? { progress: reader.double() } : {}),
    ...(fields & has.peerId ? { peerId: reader.raw(20).toString('hex') } : {}),
    ...(fields & has.client ? { client: reader.text() } : {}),
    ...(fields & has.listenPort ? { listenPort: reader.varint() } : {}),
    ...(fields & has.metadataSize ? { metadataSize: reader.varint() } : {}),
    ...(fields & has.attempts ? { attempts: reader.varint() } : {}),
  }
}
