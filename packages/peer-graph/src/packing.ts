/** Blocks: bytes that are compressed as a whole. The first byte says how. */
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { corruptRow } from './store-errors.ts'

const plain = 0
const deflated = 1
/** No honest block is larger: blocks end soon after limits.storeBlockBytes, tables hold 250,000 tellers at most. */
const maxOutputLength = 2 ** 28

/** `compression` is off where tests look for bytes in the files. */
export function pack(bytes: Uint8Array, compression: boolean): Buffer {
  const body = compression ? deflateRawSync(bytes) : bytes
  return Buffer.concat([Buffer.of(compression ? deflated : plain), body])
}

/** `what` names the block for the user, should it be damaged. */
export function unpack(packed: Buffer, what: string): Buffer {
  const body = packed.subarray(1)
  if (packed[0] === plain) return body
  try {
    if (packed[0] === deflated) return inflateRawSync(body, { maxOutputLength })
  } catch {
    // Reported below.
  }
  throw corruptRow(what)
}
