/** A torrent (BEP 3) with content on disk and true piece hashes, so that real clients can seed it. */
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { encodeBencode, type InfoHash, sha1InfoHash } from '@swarmatlas/core'
import { seededRandom } from './seeded-random.ts'

export interface ContentSpec {
  readonly name: string
  /** Paths below the torrent's folder, parts joined by `/`. */
  readonly files: readonly { readonly path: string; readonly bytes: number }[]
}

export interface ContentTorrent {
  readonly infoHash: InfoHash
  readonly infoBytes: Uint8Array
  readonly torrentFile: Uint8Array
  /** With `dn` and `tr`. */
  readonly magnet: string
  readonly files: readonly { readonly path: string; readonly bytes: number }[]
}

const PIECE_BYTES = 16_384

/** Writes the content to `<folder>/<name>/`. */
export async function makeContentTorrent(
  folder: string,
  { name, files }: ContentSpec,
  trackerUrl: string,
): Promise<ContentTorrent> {
  const random = seededRandom(name)
  const contents: Uint8Array[] = []
  for (const { path, bytes } of files) {
    const content = random.bytes(bytes)
    contents.push(content)
    const file = join(folder, name, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, content)
  }
  const all = Buffer.concat(contents)
  const pieces: Uint8Array[] = []
  for (let start = 0; start < all.length; start += PIECE_BYTES) {
    pieces.push(
      createHash('sha1')
        .update(all.subarray(start, start + PIECE_BYTES))
        .digest(),
    )
  }
  const infoBytes = encodeBencode({
    name,
    'piece length': PIECE_BYTES,
    pieces: Buffer.concat(pieces),
    files: files.map(({ path, bytes }) => ({ path: path.split('/'), length: bytes })),
  })
  const infoHash = sha1InfoHash(infoBytes)
  // Put together as bytes: the info dictionary stands in it as it was hashed.
  const torrentFile = Buffer.concat([
    Buffer.from(`d8:announce${trackerUrl.length}:${trackerUrl}4:info`),
    infoBytes,
    Buffer.from('e'),
  ])
  const magnet = `magnet:?xt=urn:btih:${infoHash}&dn=${encodeURIComponent(name)}&tr=${encodeURIComponent(trackerUrl)}`
  return { infoHash, infoBytes, torrentFile, magnet, files }
}
