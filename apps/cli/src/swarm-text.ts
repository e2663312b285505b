/** The report of one torrent for a person: what it is, who is there, how sure we are, what it cost. */
import type { GeoDatabase, TrackerReport } from '@swarmatlas/core'
import { countryName } from '@swarmatlas/geo'
import type { PeerReport, SwarmReport, TrafficReport } from '@swarmatlas/mapper'
import { peerColumns, peerRow } from './peer-table.ts'
import { binaryBytes, bytes, count, minutes, number, seconds, tally } from './quantities.ts'
import { cut, cutMiddle, padEnd, type Style, table, wrap } from './terminal.ts'

const NAME_LINES = 3
const FILES_SHOWN = 8
const PEERS_SHOWN = 20
const COUNTRIES_SHOWN = 8
const CLIENTS_SHOWN = 6

export interface TextOptions {
  readonly style: Style
  readonly columns: number
  readonly database: GeoDatabase
}

export function swarmText(report: SwarmReport, options: TextOptions): string {
  const sections = [
    heading(report, options),
    files(report, options),
    peerSummary(report, options),
    trackers(report, options),
    peerTable(report, options),
    closing(report, options),
  ]
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')
}

function heading(report: SwarmReport, { style, columns }: TextOptions): string[] {
  const { metadata } = report
  const name = cut(metadata?.name ?? 'Torrent of unknown name', NAME_LINES * (columns - 1))
  const lines = [...wrap(name, columns, '').map(style.bold), `info-hash ${report.infoHash}`]
  if (report.infoHashV2 !== null) lines.push(`v2        ${report.infoHashV2}`)
  if (metadata === null) {
    lines.push(...wrap(`no metadata: ${report.metadataError?.message ?? 'unknown'}`, columns, ''))
  } else {
    const what = [
      count(metadata.files.length, 'file'),
      bytes(metadata.totalBytes),
      `pieces of ${binaryBytes(metadata.pieceLength)}`,
    ]
    if (report.private) what.push('private')
    lines.push(what.join(' · '))
    lines.push(
      style.dim(
        metadata.from === null
          ? 'metadata from the .torrent file'
          : `metadata from ${metadata.from} after ${seconds(metadata.afterMs)}`,
      ),
    )
  }
  return lines
}

function files({ metadata }: SwarmReport, { style, columns }: TextOptions): string[] {
  if (metadata === null || metadata.files.length < 2) return []
  const largest = [...metadata.files].sort((a, b) => b.bytes - a.bytes).slice(0, FILES_SHOWN)
  // All begin with the torrent's name, which stands above.
  const inside = (path: string) => path.slice(metadata.name.length + 1)
  const lines = largest.map(
    (file) => `  ${bytes(file.bytes).padStart(8)}  ${cutMiddle(inside(file.path), columns - 12)}`,
  )
  const rest = metadata.files.length - largest.length
  if (rest > 0) lines.push(style.dim(`            and ${count(rest, 'more file', 'more files')}`))
  return [style.bold('Files'), ...lines]
}

function peerSummary({ peers, counts }: SwarmReport, { style, columns }: TextOptions): string[] {
  const handshaken = (counts.byEvidence.handshaken ?? 0) + (counts.byEvidence['role-known'] ?? 0)
  if (counts.peers === 0) return [`${style.bold('No peer was found')} over the channels asked.`]
  const found = style.bold(count(counts.peers, 'peer'))
  const roles = `${number(handshaken)} handshaken · ${count(counts.seeds, 'seed')} · ${count(counts.leeches, 'leech', 'leeches')} · ${number(counts.unknownRole)} role unknown`
  const row = (label: string, pairs: readonly (readonly [string, number])[]): string[] => {
    const text = pairs.map(([name, n]) => `${name} ×${number(n)}`).join(' · ')
    const [first = '', ...more] = wrap(text, columns, ' '.repeat(13))
    return pairs.length === 0 ? [] : [`  ${padEnd(style.dim(label), 11)}${first.slice(13)}`, ...more]
  }
  const entries = (counted: Partial<Record<string, number>>) => Object.entries(counted) as [string, number][]
  const countries = tally(peers.flatMap((peer) => (peer.place === null ? [] : [peer.place.country])))
  const clients = tally(peers.flatMap((peer) => (peer.client === null ? [] : [peer.client])))
  return [
    ...wrap(`${found}  ${roles}`, columns, ''),
    ...row('channel', entries(counts.byChannel)),
    ...row('evidence', entries(counts.byEvidence).reverse()),
    ...row(
      'country',
      top(countries, COUNTRIES_SHOWN).map(([code, n]) => [code.length === 2 ? countryName(code) : code, n] as const),
    ),
    ...row('client', top(clients, CLIENTS_SHOWN)),
  ]
}

function top(pairs: [string, number][], shown: number): [string, number][] {
  const rest = pairs.slice(shown).reduce((sum, [, n]) => sum + n, 0)
  return rest === 0 ? pairs : [...pairs.slice(0, shown), ['others', rest]]
}

function trackers({ trackers }: SwarmReport, { style, columns }: TextOptions): string[] {
  if (trackers.length === 0) return []
  const urls = new Set(trackers.map((tracker) => tracker.url))
  const lines = [...urls].flatMap((url) => {
    // A hybrid torrent is asked for under both its hashes.
    const answers = trackers.filter((tracker) => tracker.url === url)
    const outcomes = new Set(answers.map((tracker) => tracker.outcome))
    return [...outcomes].flatMap((outcome) => {
      const state = padEnd(outcome, 11)
      const said = answers.filter((tracker) => tracker.outcome === outcome).map(words)
      return [
        `  ${outcome === 'ok' ? style.good(state) : style.bad(state)}  ${cutMiddle(url, columns - 15)}`,
        ...[...new Set(said)].flatMap((text) => wrap(text, columns, ' '.repeat(15))).map(style.dim),
      ]
    })
  })
  return [style.bold('Trackers'), ...lines]
}

/** What a tracker said. */
function words(tracker: TrackerReport): string {
  if (tracker.outcome !== 'ok') return tracker.detail ?? 'no answer'
  return [
    `${count(tracker.peers, 'peer')} listed`,
    ...(tracker.seeds === undefined ? [] : [count(tracker.seeds, 'seed')]),
    ...(tracker.leeches === undefined ? [] : [count(tracker.leeches, 'leech', 'leeches')]),
    ...(tracker.intervalS === undefined ? [] : [`again in ${minutes(tracker.intervalS)}`]),
  ].join(' · ')
}

function peerTable({ peers }: SwarmReport, { style, columns }: TextOptions): string[] {
  if (peers.length === 0) return []
  const best = [...peers].sort((a, b) => rank(b) - rank(a)).slice(0, PEERS_SHOWN)
  const head =
    best.length < peers.length ? `Peers, the ${best.length} surest of ${peers.length} (all with --json)` : 'Peers'
  return [style.bold(head), ...table(peerColumns, best.map(peerRow), columns, style)]
}

function rank(peer: PeerReport): number {
  return ['refuted', 'hearsay', 'corroborated', 'reachable', 'handshaken', 'role-known'].indexOf(peer.evidence)
}

function closing(report: SwarmReport, { style, columns, database }: TextOptions): string[] {
  const { completeness, traffic, elapsedMs, notices } = report
  const lines = wrap(
    `${style.bold('Completeness')}  ${count(completeness.seen, 'peer')} seen; ${completeness.why}.`,
    columns,
    '',
  )
  if (traffic !== null) lines.push(...trafficLines(traffic, elapsedMs, { style, columns }))
  for (const notice of notices) lines.push(...wrap(`${style.warn('Note')}  ${notice}.`, columns, ''))
  if (report.peers.some((peer) => peer.place !== null)) lines.push(...placesLines(database, { style, columns }))
  return lines
}

/** Where the places come from; what a licence wants said is said here. */
export function placesLines(
  { name, attribution }: GeoDatabase,
  { style, columns }: Pick<TextOptions, 'style' | 'columns'>,
): string[] {
  return wrap(`Places: ${name}.${attribution === null ? '' : ` ${attribution}`}`, columns, '').map(style.dim)
}

export function trafficLines(
  traffic: TrafficReport,
  elapsedMs: number,
  { style, columns }: Pick<TextOptions, 'style' | 'columns'>,
): string[] {
  const shares = Object.entries(traffic.byChannel)
    .filter(([, entry]) => entry.packetsIn + entry.packetsOut > 0)
    .map(([channel, entry]) => `${channel} ${bytes(entry.bytesIn)} in, ${bytes(entry.bytesOut)} out`)
  const total = `${style.bold('Traffic')}  ${bytes(traffic.bytesIn)} in, ${bytes(traffic.bytesOut)} out in ${seconds(elapsedMs)}, headers included`
  return wrap(`${total}${shares.length > 1 ? ` (${shares.join('; ')})` : ''}.`, columns, '')
}
