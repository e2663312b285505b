/** Metadata: the info dictionary (BEP 3, BEP 27, BEP 47, BEP 52) and the .torrent file around it. */
import { type Bencoded, type BencodedDict, decodeBencode, decodeWithSpan, read } from './bencode.ts'
import { type HostPort, parseHostPort } from './endpoint.ts'
import { type InfoHash, sha1InfoHash, sha256InfoHash, type TorrentHashes, truncatedV2 } from './infohash.ts'
import { limits } from './limits.ts'
import { printable } from './text.ts'

export interface TorrentFile {
  /** Parts joined by `/`; begins with the torrent's name when there are several files. */
  readonly path: string
  readonly bytes: number
}

export interface TorrentInfo {
  readonly name: string
  readonly totalBytes: number
  readonly pieceLength: number
  readonly pieceCount: number
  /** Padding files (BEP 47) are left out. */
  readonly files: readonly TorrentFile[]
  /** BEP 27: its peers come from its trackers alone. */
  readonly private: boolean
  readonly hashes: TorrentHashes
}

/** What is wrong with metadata, in words. */
export interface BadMetadata {
  readonly problem: string
}

/** True when the bytes are what `wanted` names: their SHA-1, or the first 20 bytes of their SHA-256 (BEP 52). */
export function isInfoOf(info: Uint8Array, wanted: InfoHash): boolean {
  return sha1InfoHash(info) === wanted || truncatedV2(sha256InfoHash(info)) === wanted
}

/** Reads an info dictionary. The hashes are taken over the bytes as they came. */
export function parseInfo(info: Uint8Array): TorrentInfo | BadMetadata {
  const dict = decodeBencode(info, { maxItems: limits.filesPerTorrent * 8 })
  if (!(dict instanceof Map)) return { problem: 'the info dictionary is not bencoded' }
  const name = read.text(dict, 'name.utf-8') ?? read.text(dict, 'name')
  if (name === undefined || name === '') return { problem: 'the info dictionary has no name' }
  const pieceLength = read.integer(dict, 'piece length')
  if (pieceLength === undefined || pieceLength < 1) return { problem: 'the info dictionary has no piece length' }

  const pieces = read.bytes(dict, 'pieces')
  const isV1 = pieces !== undefined
  const isV2 = read.integer(dict, 'meta version') === 2 && read.dict(dict, 'file tree') !== undefined
  if (!isV1 && !isV2) return { problem: 'the info dictionary has neither pieces (v1) nor a file tree (v2)' }
  if (isV1 && pieces.length % 20 !== 0) return { problem: 'the piece hashes are not a multiple of 20 bytes' }

  const shownName = pathPart(name)
  const files = isV1 ? filesV1(dict, shownName) : filesV2(read.dict(dict, 'file tree') as BencodedDict, shownName)
  if (!Array.isArray(files)) return files
  const totalBytes = files.reduce((sum, file) => sum + file.bytes, 0)
  if (!Number.isSafeInteger(totalBytes)) return { problem: 'the file sizes add up to more than can be' }
  return {
    name: shownName,
    totalBytes,
    pieceLength,
    // v2 files are aligned to pieces (BEP 52).
    pieceCount: isV1
      ? pieces.length / 20
      : files.reduce((count, file) => count + Math.ceil(file.bytes / pieceLength), 0),
    files,
    private: read.integer(dict, 'private') === 1,
    hashes: { v1: isV1 ? sha1InfoHash(info) : undefined, v2: isV2 ? sha256InfoHash(info) : undefined },
  }
}

function filesV1(dict: BencodedDict, name: string): TorrentFile[] | BadMetadata {
  const length = read.integer(dict, 'length')
  if (length !== undefined) {
    return length < 0 ? { problem: 'a file has a negative size' } : [{ path: name, bytes: length }]
  }
  const entries = read.list(dict, 'files')
  if (entries === undefined) return { problem: 'the info dictionary has neither a length nor files' }
  if (entries.length > limits.filesPerTorrent) return { problem: `more than ${limits.filesPerTorrent} files` }
  const files: TorrentFile[] = []
  let charsLeft: number = limits.pathCharsPerTorrent
  for (const entry of entries) {
    if (!(entry instanceof Map)) return { problem: 'a file entry is not a dictionary' }
    const bytes = read.integer(entry, 'length')
    const parts = (read.list(entry, 'path.utf-8') ?? read.list(entry, 'path'))?.map((part) => pathPart(asText(part)))
    if (bytes === undefined || bytes < 0) return { problem: 'a file has no valid size' }
    if (parts === undefined || parts.length === 0) return { problem: 'a file has no path' }
    if (read.text(entry, 'attr')?.includes('p')) continue
    const path = [name, ...parts]
    charsLeft -= charsOf(path)
    if (charsLeft < 0) return { problem: PATHS_TOO_LONG }
    files.push({ path: path.join('/'), bytes })
  }
  return files
}

/** BEP 52: directories are dictionaries; a file is a dictionary whose only key is the empty string. */
function filesV2(tree: BencodedDict, name: string): TorrentFile[] | BadMetadata {
  const files: TorrentFile[] = []
  let charsLeft: number = limits.pathCharsPerTorrent
  let problem: string | undefined
  const walk = (directory: BencodedDict, parents: string[]) => {
    for (const [rawName, entry] of directory) {
      if (problem !== undefined) return
      if (!(entry instanceof Map)) {
        problem = 'a file entry is not a dictionary'
        return
      }
      const path = [...parents, pathPart(Buffer.from(rawName, 'latin1').toString('utf8'))]
      const leaf = read.dict(entry, '')
      if (leaf === undefined) {
        walk(entry, path)
        continue
      }
      const bytes = read.integer(leaf, 'length')
      charsLeft -= name.length + charsOf(path)
      if (bytes === undefined || bytes < 0) problem = 'a file has no valid size'
      else if (charsLeft < 0) problem = PATHS_TOO_LONG
      else files.push({ path: path.join('/'), bytes })
      if (files.length > limits.filesPerTorrent) problem = `more than ${limits.filesPerTorrent} files`
    }
  }
  walk(tree, [])
  if (problem !== undefined) return { problem }
  // A single file named like the torrent stands alone (BEP 52); else the name is the directory around all.
  const only = files[0]
  if (files.length === 1 && only?.path === name) return files
  return files.map((file) => ({ ...file, path: `${name}/${file.path}` }))
}

/** A name or directory is repeated in each path below it: 8 MB of metadata can name 5 GB of them. */
const PATHS_TOO_LONG = `the file paths add up to more than ${limits.pathCharsPerTorrent} characters`

function charsOf(path: readonly string[]): number {
  return path.reduce((sum, part) => sum + part.length + 1, 0)
}

function asText(value: Bencoded): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : ''
}

/** One part of a path: no separators, no way up, nothing that drives a terminal. */
function pathPart(text: string): string {
  const clean = printable(text, limits.nameChars).replace(/[/\\]/g, '\ufffd')
  return clean === '' || clean === '.' || clean === '..' ? '\ufffd' : clean
}

export interface TorrentFileContent {
  readonly info: TorrentInfo
  readonly infoBytes: Uint8Array
  /** In the order of the tiers (BEP 12). */
  readonly trackers: readonly string[]
  /** BEP 5 `nodes`: DHT nodes to start from, at most limits.torrentNodes. */
  readonly nodes: readonly HostPort[]
}

/** Reads a .torrent file. */
export function parseTorrentFile(bytes: Uint8Array): TorrentFileContent | BadMetadata {
  if (bytes.length > limits.torrentFileBytes) return { problem: `larger than ${limits.torrentFileBytes} bytes` }
  const decoded = decodeWithSpan(bytes, 'info', { maxItems: limits.filesPerTorrent * 8 })
  if (decoded === undefined) return { problem: 'not a bencoded dictionary' }
  if (decoded.span === undefined) return { problem: 'no info dictionary' }
  const info = parseInfo(decoded.span)
  if ('problem' in info) return info
  const tiers = read.list(decoded.dict, 'announce-list') ?? []
  const listed = tiers.flatMap((tier) => (Array.isArray(tier) ? tier.map(asText) : []))
  const single = read.text(decoded.dict, 'announce')
  const trackers = [...new Set([...(single === undefined ? [] : [single]), ...listed])].filter((url) => url !== '')
  const nodes = (read.list(decoded.dict, 'nodes') ?? []).flatMap((node) => {
    const [host, port] = Array.isArray(node) ? node : []
    if (!(host instanceof Uint8Array) || typeof port !== 'number') return []
    const name = asText(host)
    return parseHostPort(name.includes(':') ? `[${name}]:${port}` : `${name}:${port}`) ?? []
  })
  return { info, infoBytes: decoded.span, trackers, nodes: nodes.slice(0, limits.torrentNodes) }
}
