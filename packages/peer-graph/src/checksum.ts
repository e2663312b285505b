/**
 * CRC-32C (RFC 3720, appendix B.4), eight bytes a step. LevelDB has it in its files, but the binding never asks for it to
 * be checked; so each row carries one of its own, and `verify` checks the files' as well.
 */
const polynomial = 0x82f63b78

const tables: readonly Uint32Array[] = makeTables()

function makeTables(): Uint32Array[] {
  const made = Array.from({ length: 8 }, () => new Uint32Array(256))
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
    ;(made[0] as Uint32Array)[byte] = crc
  }
  for (let k = 1; k < 8; k++) {
    const [table, before] = [made[k] as Uint32Array, made[k - 1] as Uint32Array]
    for (let byte = 0; byte < 256; byte++) {
      const crc = before[byte] as number
      table[byte] = (crc >>> 8) ^ ((made[0] as Uint32Array)[crc & 0xff] as number)
    }
  }
  return made
}

const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
]

/** The checksum of `bytes`, or of what `before` is the checksum of, followed by `bytes`. */
export function crc32c(bytes: Uint8Array, before = 0): number {
  let crc = ~before
  let at = 0
  for (const end = bytes.length - 7; at < end; at += 8) {
    crc ^=
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    crc =
      (t7[crc & 0xff] as number) ^
      (t6[(crc >>> 8) & 0xff] as number) ^
      (t5[(crc >>> 16) & 0xff] as number) ^
      (t4[crc >>> 24] as number) ^
      (t3[bytes[at + 4] as number] as number) ^
      (t2[bytes[at + 5] as number] as number) ^
      (t1[bytes[at + 6] as number] as number) ^
      (t0[bytes[at + 7] as number] as number)
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ (t0[(crc ^ (bytes[at] as number)) & 0xff] as number)
  return ~crc >>> 0
}
