/** Exports: rows through the privacy filter into files that appear whole or not at all. */
import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import {
  type GeoDatabase,
  type GraphRound,
  type GraphView,
  limits,
  type Pseudonyms,
  SwarmatlasError,
} from '@swarmatlas/core'
import { csvWriter } from './csv.ts'
import { dataPackage, type ExportedFile, type Gap } from './datapackage.ts'
import { FileSink } from './file-sink.ts'
import type { Format, RowWriter, TableWriterFactory } from './format.ts'
import { writeGeojson } from './geojson.ts'
import { gexfWriter } from './gexf.ts'
import { graphmlWriter } from './graphml.ts'
import { ndjsonWriter } from './ndjson.ts'
import { parquetWriter } from './parquet.ts'
import { createPrivateRows, type PrivacyOptions, type PrivateRows, roundsOf } from './privacy.ts'
import { columnsOf, type TableName, tableNames } from './tables.ts'

export interface ExportComponents {
  readonly view: GraphView
  readonly pseudonyms: Pseudonyms
}

export interface ExportOptions extends PrivacyOptions {
  readonly format: Format
  /** A file with the ending of the format, else a folder. */
  readonly output: string
  /** Of the program. */
  readonly version: string
  /** As the user called it, without paths. */
  readonly command: string
  /** What the places come from; null when there are none. */
  readonly database: GeoDatabase | null
}

export interface ExportProgress {
  /** Rows written so far, of all tables. */
  readonly rows: number
}

export interface ExportResult {
  /** Absolute paths: of the peers or the graph, and of the data package. */
  readonly main: string
  readonly descriptor: string
  readonly files: readonly ExportedFile[]
  /** Rows by table; of a graph or map those that went into it. */
  readonly counts: Readonly<Record<TableName, number>>
}

const TABLE_WRITERS: Partial<Record<Format, TableWriterFactory>> = {
  ndjson: ndjsonWriter,
  csv: csvWriter,
  parquet: parquetWriter,
}

/** Rejects with WRITE_FAILED, with what the view throws, or with the signal's reason; no file is left then. */
export async function exportGraph(
  components: ExportComponents,
  options: ExportOptions,
  { signal, onProgress = () => {} }: { signal: AbortSignal; onProgress?: (progress: ExportProgress) => void },
): Promise<ExportResult> {
  const { format, detail, version, command, database } = options
  const names = await namesOf(options)
  const rounds = await roundsOf(components.view, options.round)
  const window = windowOf(rounds)
  const rows = createPrivateRows(components, options)
  const counts: Record<TableName, number> = { peers: 0, edges: 0, rounds: 0, swarms: 0 }

  await using sinks = openSinks()
  const { open } = sinks
  const files: { sink: FileSink; table: TableName | null; rows: () => number }[] = []

  if (format === 'geojson') {
    const sink = await open(names.main)
    files.push({ sink, table: null, rows: () => counts.peers })
    counts.peers = await writeGeojson(sink, rows.places({ signal }))
  } else {
    const factory = TABLE_WRITERS[format]
    let writer: RowWriter
    if (factory === undefined) {
      const sink = await open(names.main)
      files.push({ sink, table: null, rows: () => counts.peers + counts.edges })
      writer =
        format === 'graphml'
          ? graphmlWriter(sink, detail)
          : gexfWriter(sink, { detail, spool: await open(`${names.main}.edges`), atMs: window?.toMs ?? 0 })
    } else {
      for (const table of tableNames) {
        files.push({ sink: await open(names.table(table)), table, rows: () => counts[table] })
      }
      writer = tablesWriter(
        factory,
        files.map(({ sink }) => sink),
        options,
      )
    }
    await pump(rows, writer, { counts, signal, onProgress })
  }

  const descriptor = await open(names.descriptor)
  const written: ExportedFile[] = []
  for (const { sink, table, rows } of files) written.push({ ...(await sink.finish()), table, rows: rows() })
  const { swarm = null, round = null, evidence } = options
  await descriptor.write(
    dataPackage(format, detail, written, {
      program: 'swarmatlas',
      version,
      command,
      configuration: { format, detail, evidence, swarm, round, cellHosts: limits.exportCellHosts },
      geo: database,
      window,
      gaps: gapsOf(rounds),
      rounds: rounds.length,
    }),
  )
  await descriptor.finish()
  signal.throwIfAborted()
  // The descriptor comes last: whoever finds it finds the files that it names.
  for (const { sink } of files) await sink.publish()
  await descriptor.publish()
  return { main: names.main, descriptor: names.descriptor, files: written, counts }
}

/** All sinks of an export, disposed of together: what was not published goes. */
function openSinks(): AsyncDisposable & { open(path: string): Promise<FileSink> } {
  const sinks: FileSink[] = []
  return {
    async open(path) {
      const sink = await FileSink.create(path)
      sinks.push(sink)
      return sink
    },
    async [Symbol.asyncDispose]() {
      for (const sink of sinks) await sink[Symbol.asyncDispose]()
    },
  }
}

function tablesWriter(factory: TableWriterFactory, sinks: readonly FileSink[], { detail }: ExportOptions): RowWriter {
  const writers = Object.fromEntries(
    tableNames.map((table, i) => [table, factory(sinks[i] as FileSink, columnsOf(table, detail))]),
  ) as Record<TableName, ReturnType<TableWriterFactory>>
  return {
    write: (table, row) => writers[table].write(row),
    async end() {
      for (const table of tableNames) await writers[table].end()
    },
  }
}

async function pump(
  rows: PrivateRows,
  writer: RowWriter,
  {
    counts,
    signal,
    onProgress,
  }: { counts: Record<TableName, number>; signal: AbortSignal; onProgress: (progress: ExportProgress) => void },
): Promise<void> {
  let total = 0
  for await (const { table, row } of rows.rows({ signal })) {
    const written = writer.write(table, row)
    if (written !== undefined) await written
    counts[table]++
    if (++total % limits.exportProgressRows === 0) onProgress({ rows: total })
  }
  await writer.end()
  onProgress({ rows: total })
}

interface Names {
  readonly main: string
  readonly descriptor: string
  table(table: TableName): string
}

/** `x.csv` holds the peers and stands beside `x-edges.csv` and the like; a folder holds `peers.csv`, `edges.csv` and so on. */
async function namesOf({ output, format }: ExportOptions): Promise<Names> {
  const path = resolve(output)
  const ending = `.${format}`
  const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() ?? false
  if (isFolder || !path.toLowerCase().endsWith(ending)) {
    const other = /\.(ndjson|csv|geojson|graphml|gexf|parquet|json|xml|gz)$/i.exec(path)
    if (!isFolder && other !== null) {
      throw new SwarmatlasError('BAD_OPTION', `-o ${output}: a file in ${format} ends in ${ending}, not in ${other[0]}`)
    }
    const single = format === 'geojson' ? 'places' : 'graph'
    return {
      main: join(path, `${format in TABLE_WRITERS ? 'peers' : single}${ending}`),
      descriptor: join(path, 'datapackage.json'),
      table: (table) => join(path, `${table}${ending}`),
    }
  }
  const stem = path.slice(0, -ending.length)
  return {
    main: path,
    descriptor: `${stem}.datapackage.json`,
    table: (table) => (table === 'peers' ? path : `${stem}-${table}${ending}`),
  }
}

/** A round that never ended counts as over where it began: nobody knows better. */
const endOf = ({ startedMs, endedMs }: GraphRound) => endedMs ?? startedMs

function windowOf(rounds: readonly GraphRound[]): Gap | null {
  const [first] = rounds
  return first === undefined ? null : { fromMs: first.startedMs, toMs: Math.max(...rounds.map(endOf)) }
}

function gapsOf(rounds: readonly GraphRound[]): Gap[] {
  const gaps: Gap[] = []
  let untilMs = Number.POSITIVE_INFINITY
  for (const round of rounds) {
    if (round.startedMs > untilMs) gaps.push({ fromMs: untilMs, toMs: round.startedMs })
    untilMs = Number.isFinite(untilMs) ? Math.max(untilMs, endOf(round)) : endOf(round)
  }
  return gaps
}
