/** List files: one target a line; and the uniting of targets that name the same torrent. */
import { SwarmatlasError } from './errors.ts'
import { wireHashes } from './infohash.ts'
import { limits } from './limits.ts'
import { badTarget, joinHashes } from './magnet.ts'
import { looksLikePath, parseTarget, type Target, unwrap } from './target.ts'
import { sieveTrackers } from './tracker-url.ts'

/** A line that names something; `line` counts from 1. A path is the caller's to read. */
export type ListEntry =
  | { readonly line: number; readonly kind: 'target'; readonly target: Target }
  | { readonly line: number; readonly kind: 'file'; readonly path: string }

/** Malformed lines that one error message names. */
const LINES_NAMED = 5

/**
 * Reads a list: a magnet, a hash or the path of a .torrent file on each line, `#` before comments. Targets that name the
 * same torrent become one, at the place of the first. Throws BAD_TARGET naming the malformed lines.
 */
export function parseTargetList(text: string): ListEntry[] {
  const lines = text.split(/\r\n|\n|\r/)
  if (lines.length > limits.listLines) {
    throw badTarget(`a list of ${lines.length} lines: at most ${limits.listLines} are read`)
  }
  const files: ListEntry[] = []
  const named: { line: number; kind: 'target'; where: string; target: Target }[] = []
  const problems: SwarmatlasError[] = []
  lines.forEach((raw, index) => {
    const line = index + 1
    const given = unwrap(raw)
    if (given === '' || given.startsWith('#')) return
    if (looksLikePath(given)) {
      files.push({ line, kind: 'file', path: given })
      return
    }
    try {
      const target = parseTarget(given.replace(/^(\S+)\s+#.*$/, '$1'))
      named.push({ line, kind: 'target', where: `line ${line}`, target })
    } catch (error) {
      if (!(error instanceof SwarmatlasError)) throw error
      problems.push(badTarget(`line ${line}: ${error.message}`, error.hint))
    }
  })
  if (problems.length > 0) throw joinProblems(problems)
  const targets = uniteTargets(named).map(({ line, kind, target }) => ({ line, kind, target }))
  return [...files, ...targets].sort((a, b) => a.line - b.line)
}

function joinProblems(problems: readonly SwarmatlasError[]): SwarmatlasError {
  const more = problems.length - LINES_NAMED
  const shown = problems.slice(0, LINES_NAMED).map((problem) => problem.message)
  return badTarget([...shown, ...(more > 0 ? [`and ${more} more`] : [])].join('\n'), problems[0]?.hint)
}

/**
 * Unites what names the same torrent: two targets that share a wire hash, also through a hybrid that names both. The
 * first keeps its place and gains the other's hash, trackers, peers and metadata. `where` says in the notes which.
 */
export function uniteTargets<T extends { readonly where: string; readonly target: Target }>(named: readonly T[]): T[] {
  const groups = new Map<string, number>()
  const united: (T | undefined)[] = []
  for (const item of named) {
    const places = new Set(wireHashes(item.target.hashes).flatMap((hash) => groups.get(hash) ?? []))
    const [place = united.length, ...others] = [...places].sort((a, b) => a - b)
    let first = united[place]
    for (const next of [...others.map((other) => united[other] as T), item]) {
      first = first === undefined ? next : { ...first, target: unite(first.target, next.target, next.where) }
    }
    for (const other of others) united[other] = undefined
    united[place] = first
    for (const hash of wireHashes((first as T).target.hashes)) groups.set(hash, place)
  }
  return united.filter((item) => item !== undefined)
}

function unite(a: Target, b: Target, where: string): Target {
  const { trackers, ignored, notes } = sieveTrackers([...a.trackers, ...b.trackers])
  const peers = new Map([...a.peers, ...b.peers].map((peer) => [`${peer.address} ${peer.port}`, peer]))
  return {
    text: a.text,
    hashes: joinHashes(a.hashes.v1 ?? b.hashes.v1, a.hashes.v2 ?? b.hashes.v2),
    name: a.name ?? b.name,
    trackers,
    trackersIgnored: a.trackersIgnored + b.trackersIgnored + ignored,
    peers: [...peers.values()].slice(0, limits.magnetPeers),
    nodes: [...a.nodes, ...b.nodes].slice(0, limits.torrentNodes),
    selectOnly: a.selectOnly ?? b.selectOnly,
    info: a.info ?? b.info,
    notes: [...new Set([...a.notes, ...b.notes, ...notes, `named again at ${where}: taken once`])],
  }
}
