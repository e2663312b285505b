/** Metadata for a peer that dialled us (BEP 9): what was verified, a few pieces and no more. */
import { decodeBencodePrefix, encodeBencode, limits, type Meter, read } from '@swarmatlas/core'

export interface MetadataService {
  /** `id`: the peer's own for ut_metadata messages; without it nothing can be answered. */
  receive(payload: Uint8Array, id: number | undefined): void
}

const REQUEST = 0
const DATA = 1
const REJECT = 2
const PIECE_BYTES = limits.metadataPieceBytes

export function createMetadataService(
  { meter, send }: { meter: Meter; send(id: number, payload: Uint8Array): void },
  { info }: { info: Uint8Array },
): MetadataService {
  let answers = 0
  return {
    receive(payload, id) {
      const decoded = decodeBencodePrefix(payload, { maxDepth: limits.extensionDepth, maxItems: limits.extensionItems })
      if (id === undefined || !(decoded?.value instanceof Map)) return
      const piece = read.integer(decoded.value, 'piece')
      if (read.integer(decoded.value, 'msg_type') !== REQUEST || piece === undefined) return
      const start = piece * PIECE_BYTES
      answers++
      if (answers > 2 * limits.metadataPiecesServed) {
        meter.count('session.metadata-requests-ignored')
      } else if (answers > limits.metadataPiecesServed || piece < 0 || start >= info.length) {
        send(id, encodeBencode({ msg_type: REJECT, piece }))
      } else {
        const head = encodeBencode({ msg_type: DATA, piece, total_size: info.length })
        send(id, Buffer.concat([head, info.subarray(start, start + PIECE_BYTES)]))
      }
    },
  }
}
