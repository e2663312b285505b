/** `swarmatlas explain`: why we know of an endpoint, and from whom. */
import {
  type Channel,
  type Evidence,
  endpointKey,
  type InfoHash,
  type Outcome,
  type Place,
  printable,
  type Role,
} from '@swarmatlas/core'
import type { TorrentExplanation } from '@swarmatlas/peer-graph'
import { exitCodes } from '../exit-codes.ts'
import { print, printJson } from '../output.ts'
import { count, utc } from '../quantities.ts'
import { openStore } from '../store.ts'
import { endpointOf } from '../store-filter.ts'
import { type Column, columnsOf, type Style, styleFor, table, wrap } from '../terminal.ts'
import { type EdgeReport, reportEdge } from './edges.ts'

interface SwarmExplanation {
  swarm: InfoHash
  name: string | null
  evidence: Evidence
  channels: Channel[]
  role: Role | null
  client: string | null
  lastOutcome: Outcome
  place: Place | null
  firstSeenMs: number
  lastSeenMs: number
  rounds: number
  firstRound: number
  lastRound: number
  /** The rounds whose tellers are listed: the first and the latest of many. */
  roundsRead: number[]
  tellers: EdgeReport[]
  /** Who told of it first, who told of that teller first, and so on back. */
  chain: EdgeReport[]
}

export async function explain(text: string, options: { store: string; json?: boolean }): Promise<number> {
  const endpoint = endpointOf('explain', text)
  await using store = await openStore(options.store, 'explain')
  const found = await store.explain(endpoint)
  const swarms: SwarmExplanation[] = []
  for (const explanation of found?.torrents ?? []) {
    const name = (await store.torrent(explanation.torrent))?.metadata?.name ?? null
    swarms.push(reportOf(explanation, name))
  }
  const style = styleFor(process.stdout)
  if (options.json) await printJson({ ...endpoint, pseudonym: found?.pseudonym ?? null, swarms })
  else if (found === undefined) await print(`nobody named ${endpointKey(endpoint)}, or its address has expired\n`)
  else {
    const parts = swarms.map((swarm) => swarmLines(swarm, style).join('\n'))
    await print(`${style.bold(endpointKey(endpoint))}, in exports ${found.pseudonym}\n\n${parts.join('\n\n')}\n`)
  }
  return found === undefined ? exitCodes.nothingFound : exitCodes.done
}

function reportOf(explanation: TorrentExplanation, name: string | null): SwarmExplanation {
  const { record, tellers, chain, torrent, firstRound, lastRound, roundsRead } = explanation
  return {
    swarm: torrent,
    name,
    evidence: record.evidence,
    channels: [...record.channels],
    role: record.lastAnswer?.role ?? null,
    client: record.lastAnswer?.client ?? null,
    lastOutcome: record.lastVisit?.outcome ?? 'not-tried',
    place: record.place,
    firstSeenMs: record.firstSeenMs,
    lastSeenMs: record.lastSeenMs,
    rounds: record.rounds,
    firstRound,
    lastRound,
    roundsRead: [...roundsRead],
    tellers: tellers.map(reportEdge),
    chain: chain.map(reportEdge),
  }
}

const COLUMNS: readonly Column[] = [
  { head: 'told by', shrinks: true, min: 21 },
  { head: 'over' },
  { head: 'times', align: 'right' },
  { head: 'first' },
  { head: 'last' },
]

function swarmLines(swarm: SwarmExplanation, style: Style): string[] {
  const columns = columnsOf(process.stdout)
  const { name, role, client, lastOutcome, evidence } = swarm
  const said = [role ?? evidence, client === null ? null : printable(client), `last visit: ${lastOutcome}`]
  const rounds = swarm.rounds === 1 ? `round ${swarm.firstRound}` : `rounds ${swarm.firstRound} to ${swarm.lastRound}`
  const rows = swarm.tellers.map((edge) => [
    edge.teller,
    edge.channel,
    String(edge.count),
    utc(edge.firstSeenMs),
    utc(edge.lastSeenMs),
  ])
  const chain = [swarm.chain[0]?.peer, ...swarm.chain.map(({ teller, channel }) => `told by ${teller} over ${channel}`)]
  return [
    ...wrap(`${style.bold(name ?? swarm.swarm)}: ${said.filter((part) => part !== null).join(', ')}`, columns, ''),
    `Seen ${utc(swarm.firstSeenMs)} to ${utc(swarm.lastSeenMs)}, ${rounds}`,
    ...(rows.length === 0 ? ['Nobody told of it.'] : table(COLUMNS, rows, columns, style)),
    ...(swarm.chain.length < 2 ? [] : wrap(`First heard of: ${chain.join(', ')}`, columns, '')),
    ...(swarm.rounds > swarm.roundsRead.length
      ? [`Tellers of ${count(swarm.roundsRead.length, 'round')} of ${swarm.rounds}.`]
      : []),
  ]
}
