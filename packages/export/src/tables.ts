/** The tables of an export: the one list of columns, from which every format, both schemas and the data dictionary are made. */
import { channels, evidenceLevels } from '@swarmatlas/core'

/** How much an export tells of who a peer is. Each tells all that the one before does, but for the pseudonyms. */
export const details = ['pseudonyms', 'prefixes', 'addresses'] as const
export type Detail = (typeof details)[number]

export type Value = string | number | boolean | readonly string[] | null

/** A row by column name. */
export type Row = Readonly<Record<string, Value>>

export interface Column {
  readonly name: string
  /** `time`: Unix milliseconds. `list`: texts without spaces; an array in NDJSON, joined by spaces elsewhere. */
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'time' | 'list'
  readonly nullable?: true
  /** Integers that may exceed 2^31. */
  readonly long?: true
  /** All values that there are. */
  readonly values?: readonly string[]
  /** Present from this detail on. */
  readonly from?: Detail
  /** One sentence, for the data dictionary. */
  readonly means: string
}

export const tableNames = ['peers', 'edges', 'rounds', 'swarms'] as const
export type TableName = (typeof tableNames)[number]

export interface Table {
  readonly name: TableName
  readonly means: string
  /** What no two rows share. */
  readonly key: readonly string[]
  readonly columns: readonly Column[]
}

const outcomes = [
  'ok',
  'timeout',
  'refused',
  'reset',
  'unreachable',
  'bad-message',
  'over-budget',
  'forbidden',
  'not-tried',
]
const observationFlags = ['suspect-port', 'swapped-port', 'other-port', 'other-id', 'dropped']

export const generalised = ['nothing', 'client', 'client-asn', 'all'] as const

const swarm: Column = { name: 'swarm', type: 'string', means: 'First wire hash of the torrent, 40 hex digits.' }
const flags: Column = {
  name: 'flags',
  type: 'list',
  values: observationFlags,
  means: 'What was odd about what was said; docs/data-dictionary.md explains each.',
}

const peers: Table = {
  name: 'peers',
  means: 'One row for each peer of each torrent: an endpoint in a swarm.',
  key: ['swarm', 'peer'],
  columns: [
    swarm,
    {
      name: 'peer',
      type: 'string',
      means: 'Pseudonym of the endpoint, 32 hex digits; with raw addresses the endpoint itself.',
    },
    {
      name: 'address',
      type: 'string',
      nullable: true,
      from: 'addresses',
      means: 'IP address; null once it has expired.',
    },
    { name: 'port', type: 'integer', nullable: true, from: 'addresses', means: 'Port, 0-65535.' },
    { name: 'peerId', type: 'string', nullable: true, from: 'addresses', means: 'Peer id, 40 hex digits (BEP 3).' },
    {
      name: 'prefix',
      type: 'string',
      nullable: true,
      from: 'prefixes',
      means: 'Network of the address, cut to /24 (IPv4) or /48 (IPv6).',
    },
    {
      name: 'country',
      type: 'string',
      nullable: true,
      means: 'ISO 3166-1 alpha-2 code; null when unknown or left out.',
    },
    { name: 'asn', type: 'integer', long: true, nullable: true, means: 'Autonomous system; null as above.' },
    {
      name: 'client',
      type: 'string',
      nullable: true,
      means: 'The name that the client gives itself; null when it gave none or it is left out. Not to be trusted.',
    },
    {
      name: 'generalised',
      type: 'string',
      values: generalised,
      means: 'What is left out of country, asn and client because fewer than five hosts share the combination.',
    },
    {
      name: 'evidence',
      type: 'string',
      values: evidenceLevels,
      means: 'How sure we are of the peer, over the rounds of the export.',
    },
    {
      name: 'role',
      type: 'string',
      nullable: true,
      values: ['seed', 'leech', 'partial'],
      means: 'What its pieces say; null when it told none.',
    },
    { name: 'progress', type: 'number', nullable: true, means: 'Share of the pieces it has, 0 to 1.' },
    { name: 'channels', type: 'list', values: channels, means: 'The channels that named it.' },
    { name: 'tellers', type: 'integer', means: 'Distinct tellers that named it.' },
    { name: 'rounds', type: 'integer', means: 'Rounds that named or visited it.' },
    { name: 'firstSeenMs', type: 'time', means: 'When it was first named.' },
    { name: 'lastSeenMs', type: 'time', means: 'When it was last named.' },
    { name: 'lastOutcome', type: 'string', values: outcomes, means: 'How the last visit ended.' },
    {
      name: 'transport',
      type: 'string',
      nullable: true,
      values: ['tcp', 'utp'],
      means: 'Transport of the last visit; null when none opened.',
    },
    {
      name: 'encryption',
      type: 'string',
      nullable: true,
      values: ['plain', 'mse'],
      means: 'Of its last answer; null when it never answered.',
    },
    flags,
  ],
}

const edges: Table = {
  name: 'edges',
  means: 'One row for each teller, peer and channel of each torrent: who told us of whom.',
  key: ['swarm', 'peer', 'channel', 'teller', 'tellerKind'],
  columns: [
    swarm,
    {
      name: 'teller',
      type: 'string',
      means: 'Who said it: a pseudonym (the same as in peers), a tracker without secrets, or "self".',
    },
    {
      name: 'tellerKind',
      type: 'string',
      values: ['dht-node', 'tracker', 'peer', 'self'],
      means: 'What the teller is.',
    },
    { name: 'peer', type: 'string', means: 'Of whom, as in peers.' },
    {
      name: 'kind',
      type: 'string',
      values: ['connected', 'stored', 'listed', 'named'],
      means: 'What the word means: connected to it (PEX), holds it (DHT), lists it (tracker), named it.',
    },
    { name: 'channel', type: 'string', values: channels, means: 'How it reached us.' },
    { name: 'count', type: 'integer', means: 'How often it was said.' },
    { name: 'firstSeenMs', type: 'time', means: 'When it was first said.' },
    { name: 'lastSeenMs', type: 'time', means: 'When it was last said.' },
    flags,
    {
      name: 'pexFlags',
      type: 'list',
      nullable: true,
      values: ['prefers-encryption', 'seed', 'utp', 'holepunch', 'reachable'],
      means: 'Flags that the teller ever set (BEP 11); null when none came.',
    },
  ],
}

const rounds: Table = {
  name: 'rounds',
  means: 'One row for each round: a timed pass over a set of swarms.',
  key: ['round'],
  columns: [
    { name: 'round', type: 'integer', means: 'Number, from 1.' },
    { name: 'startedMs', type: 'time', means: 'When it began.' },
    {
      name: 'endedMs',
      type: 'time',
      nullable: true,
      means: 'When it ended; null: still open, or cut short by a crash.',
    },
    {
      name: 'reason',
      type: 'string',
      nullable: true,
      values: ['nothing-new', 'deadline', 'interrupted'],
      means: 'Why it ended.',
    },
    { name: 'vantage', type: 'string', means: 'Where we looked from: a pseudonym; with raw addresses the host name.' },
    { name: 'command', type: 'string', means: 'What started it, without paths.' },
    { name: 'swarms', type: 'integer', means: 'Torrents with at least one fact, exported or not.' },
    { name: 'peers', type: 'integer', long: true, means: 'Peers, each once per torrent, exported or not.' },
    { name: 'observations', type: 'integer', long: true, means: 'Observations, exported or not.' },
  ],
}

const swarms: Table = {
  name: 'swarms',
  means: 'One row for each torrent.',
  key: ['swarm'],
  columns: [
    swarm,
    { name: 'infoHashV2', type: 'string', nullable: true, means: 'SHA-256 info-hash (BEP 52), 64 hex digits.' },
    { name: 'name', type: 'string', nullable: true, means: 'As its metadata says; null until resolved.' },
    { name: 'totalBytes', type: 'integer', long: true, nullable: true, means: 'Size of all files.' },
    { name: 'files', type: 'integer', nullable: true, means: 'Files, padding left out.' },
    { name: 'private', type: 'boolean', means: 'Marked private (BEP 27).' },
    { name: 'firstSeenMs', type: 'time', nullable: true, means: 'When its first peer was named.' },
    { name: 'lastSeenMs', type: 'time', nullable: true, means: 'When its last peer was named.' },
    { name: 'rounds', type: 'integer', means: 'Rounds with facts of it.' },
    { name: 'peers', type: 'integer', means: 'Distinct peers over all rounds, exported or not.' },
    { name: 'seeds', type: 'integer', nullable: true, means: 'Seeds in its last round.' },
    { name: 'leeches', type: 'integer', nullable: true, means: 'Leeches in its last round.' },
  ],
}

export const tables: Readonly<Record<TableName, Table>> = { peers, edges, rounds, swarms }

/** The columns of a table that an export of this detail has. */
export function columnsOf(table: TableName, detail: Detail): Column[] {
  return tables[table].columns.filter(
    ({ from }) => from === undefined || details.indexOf(from) <= details.indexOf(detail),
  )
}

/** A value as text, for formats that know no lists; null stays null. */
export function asText(value: Value): string | null {
  if (value === null) return null
  return typeof value === 'object' ? value.join(' ') : String(value)
}
