/** The report of a round for a person: one torrent in full, several as a table. */

import { bytes, count, utc } from './quantities.ts'
import type { RoundOutcome } from './session.ts'
import { placesLines, swarmText, type TextOptions, trafficLines } from './swarm-text.ts'
import { type Column, table, wrap } from './terminal.ts'

const COLUMNS: readonly Column[] = [
  { head: 'swarm', shrinks: true, min: 16 },
  { head: 'size', align: 'right' },
  { head: 'peers', align: 'right' },
  { head: 'shaken', align: 'right' },
  { head: 'seeds', align: 'right' },
  { head: 'dht', align: 'right' },
  { head: 'tracker', align: 'right' },
  { head: 'pex', align: 'right' },
]

export function roundText({ round, swarms, database, networkProblem }: RoundOutcome, options: TextOptions): string {
  const { style, columns } = options
  const [only] = swarms
  if (swarms.length === 1 && only !== undefined) return swarmText(only, options)
  const rows = swarms.map(({ metadata, infoHash, counts }) => [
    metadata?.name ?? infoHash,
    metadata === null ? '' : bytes(metadata.totalBytes),
    String(counts.peers),
    String((counts.byEvidence.handshaken ?? 0) + (counts.byEvidence['role-known'] ?? 0)),
    String(counts.seeds),
    ...(['dht', 'tracker', 'pex'] as const).map((channel) => String(counts.byChannel[channel] ?? 0)),
  ])
  const nameless = swarms.filter((swarm) => swarm.metadata === null).length
  const notes = swarms.flatMap((swarm) =>
    swarm.notices.map((notice) => `${swarm.metadata?.name ?? swarm.infoHash}: ${notice}.`),
  )
  return [
    style.bold(`Round ${round.number}: ${count(swarms.length, 'swarm')}, ${utc(round.startedMs)}`),
    ...table(COLUMNS, rows, columns, style),
    '',
    ...(nameless > 0 ? wrap(`${count(nameless, 'swarm')} gave no metadata.`, columns, '') : []),
    ...wrap('A peer is an endpoint in a swarm; one round gives no estimate of what was not seen.', columns, ''),
    ...trafficLines(round.traffic, round.endedMs - round.startedMs, options),
    ...notes.flatMap((note) => wrap(`${style.warn('Note')}  ${note}`, columns, '')),
    ...(networkProblem === undefined ? [] : wrap(`${style.bad('Network')}  ${networkProblem}.`, columns, '')),
    ...(swarms.some((swarm) => swarm.peers.some((peer) => peer.place !== null)) ? placesLines(database, options) : []),
  ].join('\n')
}
