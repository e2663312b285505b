/**
 * Torrents without content: info dictionaries v1 (BEP 3), v2 and hybrid (BEP 52), the .torrent file and the magnet.
 * Piece hashes are random; those of v2 still form true trees, so that strict clients take the file.
 */
import { createHash } from 'node:crypto'
import {
  type Encodable,
  encodeBencode,
  parseInfo,
  SwarmatlasError,
  type TorrentHashes,
  type TorrentInfo,
} from '@swarmatlas/core'
import type { SimTorrentSpec } from './options.ts'
import type { Prng } from './prng.ts'

export interface MadeTorrent {
  readonly info: TorrentInfo
  readonly infoBytes: Uint8Array
  readonly hashes: TorrentHashes
  /** With `dn` and a `tr` for each tracker. */
  readonly magnet: string
  readonly torrentFile: Uint8Array
}

interface File {
  readonly path: readonly string[]
  readonly bytes: number
}

type Dict = { [key: string]: Encodable }

/** Leaves of a v2 hash tree cover 16 KiB. */
const BLOCK_BYTES = 16_384

export function makeTorrent(spec: SimTorrentSpec, trackers: readonly string[], prng: Prng): MadeTorrent {
  const version = spec.version ?? 'v1'
  const files = spec.files.map(({ path, bytes }) => ({ path: path.split('/'), bytes }))
  // In v2 the order of files is that of the tree's keys, and the v1 half of a hybrid must agree.
  if (version !== 'v1') files.sort((a, b) => comparePaths(a.path, b.path))
  const info: Dict = { name: spec.name, 'piece length': spec.pieceLength }
  if (spec.private) info.private = 1
  const layers = new Map<string, Encodable>()
  if (version !== 'v2') Object.assign(info, v1Half(spec, files, version === 'hybrid', prng))
  if (version !== 'v1') Object.assign(info, v2Half(spec, files, layers, prng))

  const infoBytes = encodeBencode(info)
  const parsed = parseInfo(infoBytes)
  if ('problem' in parsed) throw new SwarmatlasError('BAD_OPTION', `simulated torrent ${spec.name}: ${parsed.problem}`)
  const { v1, v2 } = parsed.hashes
  const topics = [
    ...(v1 === undefined ? [] : [`xt=urn:btih:${v1}`]),
    // 0x12 0x20: the multihash prefix of SHA-256.
    ...(v2 === undefined ? [] : [`xt=urn:btmh:1220${v2}`]),
  ]
  const rest = [`dn=${encodeURIComponent(spec.name)}`, ...trackers.map((url) => `tr=${encodeURIComponent(url)}`)]
  return {
    info: parsed,
    infoBytes,
    hashes: parsed.hashes,
    magnet: `magnet:?${[...topics, ...rest].join('&')}`,
    torrentFile: encodeBencode({
      announce: trackers[0],
      'announce-list': trackers.length === 0 ? undefined : trackers.map((url) => [url]),
      info,
      'piece layers': layers.size === 0 ? undefined : layers,
    }),
  }
}

function v1Half(spec: SimTorrentSpec, files: readonly File[], aligned: boolean, prng: Prng): Dict {
  const only = files[0] as File
  if (isSingle(spec, files)) return { length: only.bytes, pieces: pieceHashes(only.bytes, spec.pieceLength, prng) }
  const entries: Dict[] = []
  let total = 0
  for (const [index, file] of files.entries()) {
    entries.push({ length: file.bytes, path: file.path })
    total += file.bytes
    const padding = (spec.pieceLength - (total % spec.pieceLength)) % spec.pieceLength
    // BEP 47: padding lets every file of a hybrid begin with a piece.
    if (!aligned || padding === 0 || index === files.length - 1) continue
    entries.push({ attr: 'p', length: padding, path: ['.pad', String(padding)] })
    total += padding
  }
  return { files: entries, pieces: pieceHashes(total, spec.pieceLength, prng) }
}

function pieceHashes(totalBytes: number, pieceLength: number, prng: Prng): Uint8Array {
  return prng.bytes(Math.ceil(totalBytes / pieceLength) * 20)
}

function v2Half(spec: SimTorrentSpec, files: readonly File[], layers: Map<string, Encodable>, prng: Prng): Dict {
  const tree: Dict = {}
  for (const { path, bytes } of files) {
    let directory = tree
    for (const part of path) {
      directory[part] ??= {}
      directory = directory[part] as Dict
    }
    directory[''] = bytes === 0 ? { length: 0 } : { length: bytes, 'pieces root': piecesRoot(bytes, spec.pieceLength) }
  }
  return { 'meta version': 2, 'file tree': tree }

  function piecesRoot(bytes: number, pieceLength: number): Uint8Array {
    const pieces = Math.ceil(bytes / pieceLength)
    const hashes = Array.from({ length: pieces }, () => prng.bytes(32))
    if (pieces === 1) return hashes[0] as Uint8Array
    const root = treeRoot(hashes, emptySubtree(pieceLength))
    layers.set(Buffer.from(root).toString('latin1'), Buffer.concat(hashes))
    return root
  }
}

/** Root over a row of hashes that is filled up with `filler` to a power of two. */
function treeRoot(row: readonly Uint8Array[], filler: Uint8Array): Uint8Array {
  if (row.length === 1) return row[0] as Uint8Array
  const parents: Uint8Array[] = []
  for (let i = 0; i < row.length; i += 2) parents.push(parent(row[i] as Uint8Array, row[i + 1] ?? filler))
  return treeRoot(parents, parent(filler, filler))
}

/** The hash of a piece that lies past the end of the file: a tree over leaves of zeros. */
function emptySubtree(pieceLength: number): Uint8Array {
  let hash: Uint8Array = new Uint8Array(32)
  for (let covered = BLOCK_BYTES; covered < pieceLength; covered *= 2) hash = parent(hash, hash)
  return hash
}

function parent(left: Uint8Array, right: Uint8Array): Uint8Array {
  return createHash('sha256').update(left).update(right).digest()
}

function isSingle(spec: SimTorrentSpec, files: readonly File[]): boolean {
  return files.length === 1 && spec.files[0]?.path === spec.name
}

function comparePaths(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = Buffer.compare(Buffer.from(a[i] as string), Buffer.from(b[i] as string))
    if (order !== 0) return order
  }
  return a.length - b.length
}
