/**
 * What a peer has, from its bitfield (BEP 3), have-all and have-none (BEP 6), HAVEs, lt_donthave (BEP 54) and
 * `upload_only` (BEP 21). Peers
 * that hide pieces (lazy bitfields, super-seeds of BEP 16) look like leeches until their HAVEs came. Every call but
 * `bitfield` costs the same however large the torrent.
 */
import { limits, type Role } from '@swarmatlas/core'

export interface RoleVerdict {
  readonly role: Role | undefined
  /** Share of pieces, 0..1; undefined while the piece count is. */
  readonly progress: number | undefined
}

export interface RoleReader {
  /** The first one counts (BEP 3 allows one). */
  bitfield(bits: Uint8Array): void
  have(piece: number): void
  haveAll(): void
  haveNone(): void
  /** It has the piece no more (lt_donthave, BEP 54). */
  dontHave(piece: number): void
  /**
   * The verdict so far. `waited`: limits.roleWaitMs have passed, or as long as we would wait; before, only a seed is sure to be one. `greeted`: its
   * extension handshake came, so that nothing said means nothing had.
   */
  verdict(known: {
    pieceCount: number | undefined
    uploadOnly: boolean
    waited: boolean
    greeted: boolean
  }): RoleVerdict
}

const MOST_BITFIELD_BYTES = (limits.pieceIndex + 1) / 8
const UNKNOWN: RoleVerdict = { role: undefined, progress: undefined }
const SEED: RoleVerdict = { role: 'seed', progress: 1 }

export function createRoleReader(): RoleReader {
  /** Pieces it has, first piece in the highest bit; grows with HAVEs. */
  let bits: Uint8Array = new Uint8Array(0)
  let bitfieldBytes: number | undefined
  let bitsSet = 0
  let highest = -1
  let all = false
  let spoke = false
  /** It took a piece back after have-all: how many it has is not kept. */
  let allBut = false

  const add = (at: number, byte: number) => {
    const before = bits[at] as number
    const news = byte & ~before
    if (news === 0) return
    bits[at] = before | news
    for (let rest = news; rest !== 0; rest &= rest - 1) bitsSet++
    const lowestBit = 31 - Math.clz32(news & -news)
    highest = Math.max(highest, at * 8 + 7 - lowestBit)
  }

  return {
    bitfield(sent) {
      if (bitfieldBytes !== undefined) return
      spoke = true
      bitfieldBytes = sent.length
      if (bitfieldBytes > MOST_BITFIELD_BYTES) return
      if (bitfieldBytes > bits.length) bits = grown(bits, bitfieldBytes)
      for (const [at, byte] of sent.entries()) add(at, byte)
    },
    have(piece) {
      spoke = true
      if (piece > limits.pieceIndex) return
      const at = piece >> 3
      if (at >= bits.length) bits = grown(bits, Math.max(at + 1, 2 * bits.length))
      add(at, 0x80 >> (piece & 7))
    },
    haveAll() {
      all = true
    },
    haveNone() {
      spoke = true
    },
    dontHave(piece) {
      if (all) {
        all = false
        allBut = true
        spoke = true
      }
      const at = piece >> 3
      const bit = 0x80 >> (piece & 7)
      if (at >= bits.length || ((bits[at] as number) & bit) === 0) return
      bits[at] = (bits[at] as number) & ~bit
      bitsSet--
    },
    verdict({ pieceCount, uploadOnly, waited, greeted }) {
      if (all) return SEED
      if (bitfieldBytes !== undefined && bitfieldBytes > MOST_BITFIELD_BYTES) return UNKNOWN
      const incomplete: Role | undefined = !waited || !(spoke || greeted) ? undefined : uploadOnly ? 'partial' : 'leech'
      if (allBut) return { role: incomplete, progress: undefined }
      if (pieceCount === undefined) {
        // Up to seven bits of the last byte may be spare.
        const full = bitfieldBytes !== undefined && bitsSet === highest + 1 && highest >= bitfieldBytes * 8 - 8
        return full && bitsSet > 0 ? SEED : { role: incomplete, progress: undefined }
      }
      // Made for another number of pieces: it says nothing of this torrent.
      if (bitfieldBytes !== undefined && bitfieldBytes !== Math.ceil(pieceCount / 8)) return UNKNOWN
      if (highest >= pieceCount) return UNKNOWN
      if (bitsSet === pieceCount) return SEED
      return incomplete === undefined ? UNKNOWN : { role: incomplete, progress: bitsSet / pieceCount }
    },
  }
}

function grown(bits: Uint8Array, bytes: number): Uint8Array {
  const larger = new Uint8Array(bytes)
  larger.set(bits)
  return larger
}
