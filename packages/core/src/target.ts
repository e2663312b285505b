/** Targets: what the user named, and all that it says of the torrent at once. No file is read here. */
import type { Endpoint, HostPort } from './endpoint.ts'
import { SwarmatlasError } from './errors.ts'
import type { TorrentHashes } from './infohash.ts'
import { limits } from './limits.ts'
import { badTarget, excerpt, isMagnet, parseHash, parseMagnet, SHELL_HINT } from './magnet.ts'
import { parseTorrentFile, type TorrentInfo } from './metainfo.ts'
import { printable } from './text.ts'
import { sieveTrackers } from './tracker-url.ts'

export interface Target {
  /** As the user gave it, printable, secrets in URLs redacted: for reports. */
  readonly text: string
  /** At least one. A bare 40-digit hash counts as v1; it may be a v2 hash cut short, which only the metadata tells. */
  readonly hashes: TorrentHashes
  /** `dn` of a magnet, or the name in a .torrent; printable. */
  readonly name: string | undefined
  /** http, https, udp or ws URLs with their secrets, distinct, at most limits.trackersPerTarget. */
  readonly trackers: readonly string[]
  readonly trackersIgnored: number
  /** `x.pe` (BEP 9): addresses only, distinct, at most limits.magnetPeers. */
  readonly peers: readonly Endpoint[]
  /** `nodes` of a .torrent (BEP 5), at most limits.torrentNodes; none when it is private (BEP 27). */
  readonly nodes: readonly HostPort[]
  /** `so` (BEP 53): file indexes, ascending. */
  readonly selectOnly: readonly number[] | undefined
  /** Known at once from a .torrent. */
  readonly info: { readonly info: TorrentInfo; readonly bytes: Uint8Array } | undefined
  /** What was ignored, in words. */
  readonly notes: readonly string[]
}

/** Reads a magnet or a bare hash (40 or 64 hex, 32 base32, a `1220…` multihash). Throws BAD_TARGET. */
export function parseTarget(text: string): Target {
  const given = unwrap(text)
  if (given === '') throw badTarget('no target given: a magnet, an info-hash or a .torrent file')
  if (isMagnet(given)) return { ...parseMagnet(given), nodes: [], info: undefined }
  if (/^urn:/i.test(given))
    return { ...parseMagnet(`magnet:?xt=${given}`), text: excerpt(given), nodes: [], info: undefined }
  if (isLoneParameter(given)) {
    // Its value may hold a passkey.
    throw badTarget(`'${given.slice(0, given.indexOf('='))}=…' is a piece of a magnet, not a target`, SHELL_HINT)
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(given)) {
    throw badTarget('a URL is not a target', 'Save the .torrent file and give its path.')
  }
  if (looksLikeHash(given)) {
    const hash = parseHash(given)
    const topic = hash.version === 1 ? `btih:${hash.text}` : `btmh:1220${hash.text}`
    return { ...parseMagnet(`magnet:?xt=urn:${topic}`), text: given, nodes: [], info: undefined }
  }
  throw badTarget(
    `'${excerpt(given)}' is not a target`,
    'A target is a magnet link, an info-hash (40 hex digits, 32 base32 characters or 64 hex digits) or the path of a .torrent file.',
  )
}

/** True for what can only be meant as the path of a .torrent file. */
export function looksLikePath(text: string): boolean {
  const given = unwrap(text)
  if (isMagnet(given) || isLoneParameter(given) || /^[a-z][a-z0-9+.-]+:\/\//i.test(given)) return false
  return /\.torrent$/i.test(given) || /[/\\]/.test(given)
}

/** The text without what surrounds it when it is copied: spaces, a byte order mark, quotes. */
export function unwrap(text: string): string {
  return text
    .replace(/^\ufeff/, '')
    .trim()
    .replace(/^(["'])(.*)\1$/s, '$2')
    .trim()
}

/** What is left of a magnet behind an `&` that the shell took. */
function isLoneParameter(text: string): boolean {
  return /^(?:xt|dn|xl|tr|ws|as|xs|kt|mt|so|x\.pe)(?:\.\d+)?=/i.test(text)
}

/** Letters and digits only, and either all hex or too long for a word. */
function looksLikeHash(text: string): boolean {
  return /^[0-9a-f]+$/i.test(text) || /^[0-9a-z]{20,}$/i.test(text)
}

/** Reads the bytes of a .torrent file; `name` is its path, for messages. Throws BAD_TORRENT_FILE. */
export function targetFromTorrentFile(bytes: Uint8Array, name: string): Target {
  const file = printable(name, limits.nameChars)
  const content = parseTorrentFile(bytes)
  if ('problem' in content) {
    const { problem, hint } = mistakenFor(bytes) ?? { problem: content.problem }
    throw new SwarmatlasError('BAD_TORRENT_FILE', `${file}: ${problem}`, hint === undefined ? {} : { hint })
  }
  const { info, infoBytes, nodes } = content
  const { trackers, ignored, notes } = sieveTrackers(content.trackers)
  return {
    text: file,
    hashes: info.hashes,
    name: info.name,
    trackers,
    trackersIgnored: ignored,
    peers: [],
    nodes: info.private ? [] : nodes,
    selectOnly: undefined,
    info: { info, bytes: infoBytes },
    notes: info.private && nodes.length > 0 ? [...notes, 'nodes ignored: the torrent is private'] : notes,
  }
}

/** What else people have under the name of a .torrent file. */
function mistakenFor(bytes: Uint8Array): { problem: string; hint?: string } | undefined {
  if (bytes.length === 0) return { problem: 'the file is empty' }
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return { problem: 'compressed with gzip', hint: 'Unpack it first.' }
  const start = unwrap(Buffer.from(bytes.subarray(0, limits.excerptChars)).toString('utf8'))
  if (start.startsWith('<')) {
    return { problem: 'a web page instead of a torrent', hint: 'The site probably asked for a login: fetch it again.' }
  }
  if (isMagnet(start)) {
    return {
      problem: 'a magnet link in a text file',
      hint: 'Give the magnet itself, or the file as a list: --list FILE',
    }
  }
  return undefined
}
