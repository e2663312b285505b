/** `swarmatlas edges`: who told us of whom. */
import {
  type Channel,
  channels,
  type EdgeKind,
  endpointKey,
  type InfoHash,
  type PexFlags,
  SwarmatlasError,
  type Teller,
} from '@swarmatlas/core'
import type { AnyEdgeRecord } from '@swarmatlas/peer-graph'
import { exitCodes } from '../exit-codes.ts'
import type { OutputOptions } from '../options.ts'
import { print, printJson } from '../output.ts'
import { count, number, utc } from '../quantities.ts'
import { openStore } from '../store.ts'
import { checkStoreFilter, endpointOf, parseStoreFilter, type StoreFilterOptions } from '../store-filter.ts'
import { type Column, columnsOf, styleFor, table } from '../terminal.ts'

export interface EdgesOptions extends StoreFilterOptions, OutputOptions {
  teller?: string
  peer?: string
  channel?: string
}

export interface EdgeReport {
  swarm: InfoHash
  tellerKind: Teller['kind']
  /** An endpoint, a tracker's URL, or `self`; of an address that has expired the pseudonym. */
  teller: string
  peer: string
  kind: EdgeKind
  channel: Channel
  count: number
  firstSeenMs: number
  lastSeenMs: number
  flags: string[]
  pex: PexFlags | null
}

const COLUMNS: readonly Column[] = [
  { head: 'teller', shrinks: true, min: 21 },
  { head: 'is a' },
  { head: 'peer', shrinks: true, min: 21 },
  { head: 'edge' },
  { head: 'times', align: 'right' },
  { head: 'last said' },
]

/** Lines of a table that somebody may still read; widths need all of them at once. */
const LINES = 1_000

export async function edges(options: EdgesOptions): Promise<number> {
  const { teller, peer, channel } = options
  const filter = {
    ...parseStoreFilter(options),
    channel: channelOf(channel),
    toldBy: teller === undefined ? undefined : endpointOf('--teller', teller),
    toldOf: peer === undefined ? undefined : endpointOf('--peer', peer),
  }
  await using store = await openStore(options.store, 'edges')
  await checkStoreFilter(store, filter)
  const kept: EdgeReport[] = []
  let found = 0
  for await (const record of store.edges(filter)) {
    found++
    if (options.ndjson) await print(`${JSON.stringify(reportEdge(record))}\n`)
    else if (options.json || found <= LINES) kept.push(reportEdge(record))
  }
  if (options.json) await printJson(kept)
  else if (!options.ndjson) {
    const lines = table(COLUMNS, kept.map(rowOf), columnsOf(process.stdout), styleFor(process.stdout))
    await print(found === 0 ? 'no edge matches\n' : `${lines.join('\n')}\n`)
    if (found > LINES) process.stderr.write(`and ${count(found - LINES, 'edge')} more: --ndjson lists all\n`)
  }
  return found === 0 ? exitCodes.nothingFound : exitCodes.done
}

export function reportEdge(record: AnyEdgeRecord): EdgeReport {
  const { peer, peerPseudonym } = record
  return {
    swarm: record.torrent,
    tellerKind: record.tellerKind,
    teller: tellerText(record),
    peer: peer === null ? peerPseudonym : endpointKey(peer),
    kind: record.kind,
    channel: record.channel,
    count: record.count,
    firstSeenMs: record.firstSeenMs,
    lastSeenMs: record.lastSeenMs,
    flags: [...record.flags],
    pex: record.pex,
  }
}

function rowOf(edge: EdgeReport): string[] {
  return [edge.teller, edge.tellerKind, edge.peer, edge.kind, number(edge.count), utc(edge.lastSeenMs)]
}

function tellerText({ teller, tellerPseudonym }: AnyEdgeRecord): string {
  if (teller === null) return tellerPseudonym ?? 'forgotten'
  switch (teller.kind) {
    case 'dht-node':
    case 'peer':
      return endpointKey(teller.endpoint)
    case 'tracker':
      return teller.url
    case 'self':
      return 'self'
  }
}

function channelOf(text: string | undefined): Channel | undefined {
  if (text !== undefined && !channels.includes(text as Channel))
    throw new SwarmatlasError('BAD_OPTION', `--channel: "${text}" is none of ${channels.join(', ')}`)
  return text as Channel | undefined
}
