/**
 * Magnet links (BEP 9, BEP 52, BEP 53). A magnet is hostile input, and magnet-uri throws on malformed percent-encoding,
 * drops values that hold a `=`, expands any range, and takes any 40 characters for a hash. So each parameter is split,
 * decoded and checked here first, and the library reads a magnet rebuilt from what passed.
 */
import decodeMagnet from 'magnet-uri'
import { canonicalAddress, type Endpoint, endpointKey, parseEndpoint, parseHostPort } from './endpoint.ts'
import { SwarmatlasError } from './errors.ts'
import { parseInfoHash, parseInfoHashV2, type TorrentHashes, truncatedV2 } from './infohash.ts'
import { limits } from './limits.ts'
import { printable, redactUrl } from './text.ts'
import { count, sieveTrackers } from './tracker-url.ts'

export interface Magnet {
  /** As given, printable, secrets in URLs redacted. */
  readonly text: string
  readonly hashes: TorrentHashes
  readonly name: string | undefined
  readonly trackers: readonly string[]
  readonly trackersIgnored: number
  readonly peers: readonly Endpoint[]
  readonly selectOnly: readonly number[] | undefined
  readonly notes: readonly string[]
}

/** What a shell does to a magnet, and the way round it. */
export const SHELL_HINT: string =
  "A shell cuts an unquoted magnet at '&'. Put it in quotes, or pass it on standard input: swarmatlas lookup -"

const KNOWN_LENGTHS = 'known are 40 hex digits (v1), 32 base32 characters (v1) and 64 hex digits (v2)'

export function isMagnet(text: string): boolean {
  return /^magnet:/i.test(text)
}

/** Throws BAD_TARGET. */
export function parseMagnet(text: string): Magnet {
  if (text.length > limits.magnetChars) {
    throw badTarget(`a magnet of ${text.length} characters: at most ${limits.magnetChars} are read`)
  }
  const parameters = parseParameters(text)
  const valuesOf = (name: string) => parameters.filter((each) => each.name === name).map((each) => each.value)

  const { v1, v2, notes: hashNotes } = sieveTopics(valuesOf('xt'))
  const { trackers, ignored, notes: trackerNotes } = sieveTrackers(valuesOf('tr'))
  const { peers, notes: peerNotes } = sievePeers(valuesOf('x.pe'))
  const so = valuesOf('so')
  const range = so.length === 0 ? undefined : checkedRange(so.join(','))

  const read = decodeMagnet(
    `magnet:?${[
      ...[...v1].map((hash) => `xt=urn:btih:${hash}`),
      ...[...v2].map((hash) => `xt=urn:btmh:1220${hash}`),
      ...trackers.map((url) => `tr=${encodeURIComponent(url)}`),
      ...peers.map((peer) => `x.pe=${peer}`),
      ...(range === undefined ? [] : [`so=${range}`]),
    ].join('&')}`,
  )
  const hashV2 = parseInfoHashV2(read.infoHashV2 ?? '')
  const hashV1 = parseInfoHash(read.infoHash ?? '')
  const neverFetched = ['xs', 'as', 'ws'].filter((name) => valuesOf(name).length > 0)
  return {
    text: redactMagnet(parameters),
    hashes: joinHashes(hashV1, hashV2),
    // Decoded here: magnet-uri would turn an encoded + into a space.
    name: shownName(parameters.find((each) => each.name === 'dn')?.value),
    trackers: read.announce,
    trackersIgnored: ignored,
    peers: read.peerAddresses.map(parseEndpoint).filter((peer) => peer !== undefined),
    selectOnly: read.so === undefined ? undefined : [...new Set(read.so)].sort((a, b) => a - b),
    notes: [
      ...hashNotes,
      ...trackerNotes,
      ...peerNotes,
      ...(so.length > 0 && range === undefined ? ['so ignored: not a list of file indexes'] : []),
      ...(neverFetched.length > 0 ? [`${neverFetched.join(', ')} ignored: never fetched`] : []),
    ],
  }
}

/** Both hashes of one torrent; a v1 hash that is only the v2 hash cut short is none. */
export function joinHashes(v1: TorrentHashes['v1'], v2: TorrentHashes['v2']): TorrentHashes {
  return { v1: v2 !== undefined && v1 === truncatedV2(v2) ? undefined : v1, v2 }
}

/**
 * A hash as a magnet's topic or a user writes it: 40 hex or 32 base32 (v1), 64 hex or a SHA-256 multihash `1220…` (v2).
 * `text` is the form that a magnet takes. Throws BAD_TARGET.
 */
export function parseHash(text: string): { version: 1 | 2; text: string } {
  if (parseInfoHash(text) !== undefined) return { version: 1, text: text.toLowerCase() }
  if (/^[a-z2-7]{32}$/i.test(text)) return { version: 1, text: text.toUpperCase() }
  const v2 = /^1220[0-9a-f]{64}$/i.test(text) ? text.slice(4) : text
  if (parseInfoHashV2(v2) !== undefined) return { version: 2, text: v2.toLowerCase() }
  const kind = /^[0-9a-f]*$/i.test(text) ? 'hex digits' : 'characters'
  throw badTarget(`unknown info-hash of ${text.length} ${kind}: ${KNOWN_LENGTHS}`)
}

interface Parameter {
  readonly key: string
  /** The key in lower case without its number: `tr` for `tr.1`. */
  readonly name: string
  readonly raw: string
  readonly value: string
}

function parseParameters(text: string): Parameter[] {
  const query = /^magnet:\??(.*)$/is.exec(text)?.[1] ?? ''
  return query.split('&').flatMap((part) => {
    const at = part.indexOf('=')
    if (at < 1) return []
    // `&amp;` is what a magnet copied from the source of a web page has.
    const key = part.slice(0, at).replace(/^amp;/i, '')
    const name = key.toLowerCase().replace(/\.\d+$/, '')
    const raw = part.slice(at + 1)
    return [{ key, name, raw, value: decodePercent(name === 'dn' ? raw.replaceAll('+', ' ') : raw).trim() }]
  })
}

/** Decodes what is valid percent-encoding and leaves the rest; bytes that are not UTF-8 become U+FFFD. */
function decodePercent(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'))
}

/** The hashes among the exact topics, at most one of each version. */
function sieveTopics(topics: readonly string[]): { v1: Set<string>; v2: Set<string>; notes: string[] } {
  const v1 = new Set<string>()
  const v2 = new Set<string>()
  const foreign: string[] = []
  for (const topic of topics) {
    const [, kind, text = ''] = /^urn:(btih|btmh):(.*)$/is.exec(topic) ?? []
    if (kind === undefined) {
      foreign.push(topic)
    } else if (kind.toLowerCase() === 'btih') {
      const hash = parseHash(text)
      if (hash.version !== 1)
        throw badTarget(`a btih of ${text.length} characters: known are 40 hex digits and 32 base32 characters`)
      v1.add(hash.text)
    } else {
      if (!/^1220[0-9a-f]{64}$/i.test(text))
        throw badTarget('a btmh that is not a SHA-256 multihash: 1220 and 64 hex digits')
      v2.add(parseHash(text).text)
    }
  }
  if (v1.size + v2.size === 0) {
    if (foreign.length > 0) throw badTarget(`the magnet names no torrent: its xt is '${excerpt(foreign[0] as string)}'`)
    throw badTarget('the magnet has no info-hash (xt)', SHELL_HINT)
  }
  if (v1.size > 1 && new Set([...v1].map(hexOf)).size > 1)
    throw badTarget('the magnet names several torrents: two different btih')
  if (v2.size > 1) throw badTarget('the magnet names several torrents: two different btmh')
  return { v1, v2, notes: foreign.map((topic) => `xt '${excerpt(topic)}' ignored: not a torrent`) }
}

/** One hash may stand in a magnet in both its forms. */
function hexOf(hash: string): string | undefined {
  return decodeMagnet(`magnet:?xt=urn:btih:${hash}`).infoHash
}

function sievePeers(values: readonly string[]): { peers: string[]; notes: string[] } {
  const peers = new Set<string>()
  let names = 0
  let invalid = 0
  let over = 0
  for (const value of values) {
    const endpoint = parseEndpoint(value)
    if (endpoint !== undefined && peers.size >= limits.magnetPeers) over++
    else if (endpoint !== undefined) peers.add(endpointKey(endpoint))
    else if (isHostName(value)) names++
    else invalid++
  }
  const notes: string[] = []
  if (names > 0) notes.push(`${count(names, 'x.pe host name')} ignored: only addresses are taken`)
  if (invalid > 0)
    notes.push(`${invalid} x.pe ${invalid === 1 ? 'entry' : 'entries'} ignored: not an address with a port`)
  if (over > 0)
    notes.push(`${over} x.pe ${over === 1 ? 'entry' : 'entries'} over the limit of ${limits.magnetPeers} ignored`)
  return { peers: [...peers], notes }
}

function isHostName(text: string): boolean {
  const host = parseHostPort(text)?.host
  return host !== undefined && canonicalAddress(host) === undefined && /[a-z]/i.test(host)
}

/** `so` as magnet-uri may expand it, or undefined when it is malformed or too much. */
function checkedRange(text: string): string | undefined {
  const parts = text.split(',')
  if (parts.length > limits.selectOnlyRanges) return undefined
  let indexes = 0
  for (const part of parts) {
    const [, first, last = first] = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(part) ?? []
    if (first === undefined || Number(last) < Number(first) || Number(last) > limits.selectOnlyIndex) return undefined
    indexes += Number(last) - Number(first) + 1
  }
  return indexes <= limits.selectOnlyIndex + 1 ? text : undefined
}

function shownName(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : printable(text, limits.nameChars)
}

/** Passkeys stand in tracker URLs, and in whatever else is a URL. */
function redactMagnet(parameters: readonly Parameter[]): string {
  const shown = parameters.map(({ key, name, raw, value }) => {
    const isUrl = ['tr', 'xs', 'as', 'ws'].includes(name) || /^[a-z][a-z0-9+.-]*:\/\//i.test(value)
    return `${key}=${isUrl ? encodeURIComponent(redactUrl(value)).replaceAll('%E2%80%A6', '…') : raw}`
  })
  return printable(`magnet:?${shown.join('&')}`)
}

export function badTarget(message: string, hint?: string): SwarmatlasError {
  return new SwarmatlasError('BAD_TARGET', message, hint === undefined ? {} : { hint })
}

/** The start of what the user gave, for an error message. */
export function excerpt(text: string): string {
  return printable(text, limits.excerptChars)
}
