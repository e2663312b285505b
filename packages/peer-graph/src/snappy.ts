/** Snappy, uncompressing only (google/snappy, format_description.txt): for the indexes of LevelDB's files. */
export function uncompressSnappy(bytes: Uint8Array): Buffer {
  let at = 0
  const next = (count = 1) => {
    let value = 0
    for (let i = 0; i < count; i++) {
      const byte = bytes[at++]
      if (byte === undefined) throw new RangeError('cut short')
      value += byte * 2 ** (8 * i)
    }
    return value
  }
  let length = 0
  for (let scale = 1; ; scale *= 128) {
    const byte = next()
    length += (byte & 0x7f) * scale
    if (byte < 0x80) break
    if (scale > 2 ** 28) throw new RangeError('too long')
  }
  // A copy of 3 bytes makes 64 at most: whoever claims more lies.
  if (length > 32 * bytes.length) throw new RangeError('too long')
  const out = Buffer.alloc(length)
  let end = 0
  while (at < bytes.length) {
    const tag = next()
    const kind = tag & 3
    if (kind === 0) {
      const short = tag >> 2
      const count = (short < 60 ? short : next(short - 59)) + 1
      if (at + count > bytes.length || end + count > length) throw new RangeError('cut short')
      out.set(bytes.subarray(at, at + count), end)
      at += count
      end += count
      continue
    }
    const count = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1
    const offset = kind === 1 ? ((tag >> 5) << 8) + next() : next(kind === 2 ? 2 : 4)
    if (offset === 0 || offset > end || end + count > length) throw new RangeError('points nowhere')
    // Byte by byte: a copy may overlap itself.
    for (const stop = end + count; end < stop; end++) out[end] = out[end - offset] as number
  }
  if (end !== length) throw new RangeError('cut short')
  return out
}
