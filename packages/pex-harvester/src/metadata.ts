/**
 * Metadata from one peer, ut_metadata (BEP 9): pieces of 16 KiB asked for a few at a time, the whole verified against
 * the swarm's hash. Memory is taken for what came, never for what was announced. ADR 0005 says why not the ut_metadata
 * package.
 */
import { decodeBencodePrefix, encodeBencode, type InfoHash, isInfoOf, limits, read } from '@swarmatlas/core'

export type MetadataStep =
  /** Nothing new: not our piece, malformed, or more to come. */
  | { readonly kind: 'more' }
  | { readonly kind: 'done'; readonly bytes: Uint8Array }
  /** The peer will not give it. */
  | { readonly kind: 'refused' }
  | { readonly kind: 'rejected'; readonly problem: string }

export interface MetadataFetch {
  readonly size: number
  /** The next request's payload; undefined while enough are on their way. */
  request(): Uint8Array | undefined
  receive(payload: Uint8Array, nowMs: number): MetadataStep
  /** Without a further piece the fetch is over at this (monotonic) time. */
  readonly deadlineMs: number
}

const REQUEST = 0
const DATA = 1
const REJECT = 2
const PIECE_BYTES = limits.metadataPieceBytes

/** `size`: 1 to limits.metadataBytes. */
export function createMetadataFetch(swarm: InfoHash, size: number, nowMs: number): MetadataFetch {
  const pieceCount = Math.ceil(size / PIECE_BYTES)
  const pieces = new Map<number, Uint8Array>()
  let requested = 0
  let deadlineMs = nowMs + limits.metadataPieceTimeoutMs

  return {
    size,
    get deadlineMs() {
      return deadlineMs
    },
    request() {
      if (requested === pieceCount || requested - pieces.size >= limits.metadataRequestsInFlight) return undefined
      return encodeBencode({ msg_type: REQUEST, piece: requested++ })
    },
    receive(payload, atMs) {
      const decoded = decodeBencodePrefix(payload, { maxDepth: limits.extensionDepth, maxItems: limits.extensionItems })
      if (!(decoded?.value instanceof Map)) return { kind: 'more' }
      const kind = read.integer(decoded.value, 'msg_type')
      const piece = read.integer(decoded.value, 'piece')
      if (kind === REJECT) return { kind: 'refused' }
      if (kind !== DATA || piece === undefined) return { kind: 'more' }
      const total = read.integer(decoded.value, 'total_size')
      const data = payload.subarray(decoded.end)
      if (piece < 0 || piece >= pieceCount) return rejected(`piece ${piece} of ${pieceCount}`)
      if (total !== undefined && total !== size) return rejected(`${size} bytes first, then ${total}`)
      if (data.length !== Math.min(PIECE_BYTES, size - piece * PIECE_BYTES)) {
        return rejected(`piece ${piece} has ${data.length} bytes`)
      }
      if (piece >= requested || pieces.has(piece)) return { kind: 'more' }
      pieces.set(piece, data)
      deadlineMs = atMs + limits.metadataPieceTimeoutMs
      if (pieces.size < pieceCount) return { kind: 'more' }
      const bytes = new Uint8Array(size)
      for (const [index, part] of pieces) bytes.set(part, index * PIECE_BYTES)
      return isInfoOf(bytes, swarm) ? { kind: 'done', bytes } : rejected('the hash does not match')
    },
  }
}

function rejected(problem: string): MetadataStep {
  return { kind: 'rejected', problem }
}
