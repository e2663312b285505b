/**
 * A LevelDB table file, checked as LevelDB's own paranoid reading would: its blocks follow each other without a gap, each
 * with a type and a masked CRC-32C behind it, listed in an index that a footer of 48 bytes points to (LevelDB's
 * doc/table_format.md). So each byte of the file is under a checksum, or is compared with what it must be.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32c } from './checksum.ts'
import { uncompressSnappy } from './snappy.ts'
import type { Damage } from './types.ts'

/** The table files of a LevelDB directory that are damaged. */
export async function* damagedTables(dir: string): AsyncGenerator<Damage> {
  const names = await readdir(dir).catch(() => [])
  for (const name of names.filter((name) => /\.(ldb|sst)$/.test(name))) {
    const path = join(dir, name)
    // Gone since it was listed: compacted into others.
    const file = await readFile(path).catch(() => undefined)
    const what = file && tableDamage(file)
    if (what !== undefined) yield { path, what }
  }
}

const FOOTER = 48
/** Little-endian, as it stands in the file. */
const MAGIC = '57fb808b247547db'
const TRAILER = 5

interface Handle {
  readonly offset: number
  readonly size: number
}

/** What is wrong with it, in words; undefined when it is whole. */
export function tableDamage(file: Buffer): string | undefined {
  try {
    return checkTable(file)
  } catch {
    return 'its index cannot be read'
  }
}

function checkTable(file: Buffer): string | undefined {
  if (file.length < FOOTER) return 'it is cut short'
  const footer = file.subarray(file.length - FOOTER)
  if (footer.toString('hex', FOOTER - 8) !== MAGIC) return 'it has no footer'
  const at = { at: 0 }
  const metaindex = handle(footer, at)
  const index = handle(footer, at)
  if (footer.subarray(at.at, FOOTER - 8).some((byte) => byte !== 0)) return 'its footer is damaged'
  const blocks: Handle[] = [metaindex, index]
  for (const listing of [metaindex, index]) {
    const bytes = block(file, listing)
    if (bytes === undefined) return 'a block does not match its checksum'
    blocks.push(...handlesIn(bytes))
  }
  blocks.sort((a, b) => a.offset - b.offset)
  let end = 0
  for (const { offset, size } of blocks) {
    if (offset !== end) return 'its blocks do not follow each other'
    if (block(file, { offset, size }) === undefined) return 'a block does not match its checksum'
    end = offset + size + TRAILER
  }
  return end === file.length - FOOTER ? undefined : 'its blocks do not follow each other'
}

/** The uncompressed bytes of a block whose checksum is right. */
function block(file: Buffer, { offset, size }: Handle): Buffer | undefined {
  const whole = file.subarray(offset, offset + size + 1)
  if (offset + size + TRAILER > file.length) return undefined
  const masked = file.readUInt32LE(offset + size + 1)
  const crc = crc32c(whole)
  // Masked, because checksums of checksums are weak (LevelDB, util/crc32c.h).
  if (((((crc >>> 15) | (crc << 17)) >>> 0) + 0xa282ead8) % 2 ** 32 !== masked) return undefined
  return whole[size] === 1 ? uncompressSnappy(whole.subarray(0, size)) : whole.subarray(0, size)
}

/** The values of an index block: entries of shared, unshared and value length, then key and value; restarts at its end. */
function handlesIn(bytes: Buffer): Handle[] {
  const restarts = bytes.readUInt32LE(bytes.length - 4)
  const end = bytes.length - 4 - 4 * restarts
  const handles: Handle[] = []
  for (const at = { at: 0 }; at.at < end; ) {
    varint(bytes, at)
    const unshared = varint(bytes, at)
    const length = varint(bytes, at)
    at.at += unshared
    handles.push(handle(bytes, { at: at.at }))
    at.at += length
  }
  return handles
}

function handle(bytes: Buffer, at: { at: number }): Handle {
  return { offset: varint(bytes, at), size: varint(bytes, at) }
}

function varint(bytes: Buffer, at: { at: number }): number {
  let value = 0
  for (let scale = 1; scale < 2 ** 49; scale *= 128) {
    const byte = bytes.readUInt8(at.at++)
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return value
  }
  throw new RangeError('no number')
}
