/** `swarmatlas peers`: the peers in a store, each once per swarm over the rounds that are asked for. */
import {
  type Channel,
  channels,
  type Evidence,
  evidenceLevels,
  type Geo,
  type InfoHash,
  SwarmatlasError,
} from '@swarmatlas/core'
import { createGeo } from '@swarmatlas/geo'
import type { PeerReport } from '@swarmatlas/mapper'
import type { PeerRecord } from '@swarmatlas/peer-graph'
import { exitCodes } from '../exit-codes.ts'
import type { OutputOptions } from '../options.ts'
import { print, printJson } from '../output.ts'
import { peerColumns, peerRow } from '../peer-table.ts'
import { openStore } from '../store.ts'
import { checkStoreFilter, parseStoreFilter, type StoreFilterOptions } from '../store-filter.ts'
import { columnsOf, styleFor, table } from '../terminal.ts'

export interface PeersOptions extends OutputOptions, StoreFilterOptions {
  channel?: string
  evidence?: string
  role?: string
  country?: string
}

type StoredPeerReport = PeerReport & { swarm: InfoHash; rounds: number }

export async function peers(options: PeersOptions): Promise<number> {
  const filter = parseStoreFilter(options)
  const matches = matcher(options)
  await using store = await openStore(options.store, 'peers')
  await checkStoreFilter(store, filter)
  const geo = createGeo()
  const { attribution } = await geo.load()
  let found = 0
  const kept: StoredPeerReport[] = []
  for await (const record of store.peers(filter)) {
    const peer = reportOf(record, geo)
    if (!matches(peer)) continue
    found++
    if (options.ndjson) await print(`${JSON.stringify(peer)}\n`)
    else kept.push(peer)
  }
  if (options.json) await printJson(kept)
  else if (!options.ndjson) {
    const lines = table(peerColumns, kept.map(peerRow), columnsOf(process.stdout), styleFor(process.stdout))
    await print(found === 0 ? 'no peer matches\n' : `${lines.join('\n')}\n`)
    if (found > 0 && attribution !== null) process.stderr.write(`${attribution}\n`)
  }
  return found === 0 ? exitCodes.nothingFound : exitCodes.done
}

function reportOf(record: PeerRecord, geo: Geo): StoredPeerReport {
  const { endpoint, lastVisit, lastAnswer } = record
  return {
    swarm: record.torrent,
    address: endpoint.address,
    port: endpoint.port,
    peerId: lastAnswer?.peerId ?? null,
    flags: [...record.flags],
    alsoAt: [],
    channels: [...record.channels],
    tellers: record.tellers,
    evidence: record.evidence,
    sameAs: [],
    inbound: record.channels.includes('inbound'),
    role: lastAnswer?.role ?? null,
    progress: lastAnswer?.progress ?? null,
    client: lastAnswer?.client ?? null,
    transport: lastVisit?.opened ? lastVisit.transport : null,
    encryption: lastAnswer?.encryption ?? null,
    firstSeenMs: record.firstSeenMs,
    lastSeenMs: record.lastSeenMs,
    lastOutcome: lastVisit?.outcome ?? 'not-tried',
    place: record.place ?? geo.place(endpoint),
    rounds: record.rounds,
  }
}

function matcher({ channel, evidence, role, country }: PeersOptions): (peer: PeerReport) => boolean {
  oneOf('channel', channel, channels)
  oneOf('evidence', evidence, evidenceLevels)
  oneOf('role', role, ['seed', 'leech', 'partial'])
  return (peer) =>
    (channel === undefined || peer.channels.includes(channel as Channel)) &&
    (evidence === undefined || peer.evidence === (evidence as Evidence)) &&
    (role === undefined || peer.role === role) &&
    (country === undefined || peer.place?.country === country.toUpperCase())
}

function oneOf(option: string, value: string | undefined, allowed: readonly string[]): void {
  if (value === undefined || allowed.includes(value)) return
  throw new SwarmatlasError('BAD_OPTION', `--${option}: "${value}" is none of ${allowed.join(', ')}`)
}
