/** What every format's writer does. */
import type { FileSink } from './file-sink.ts'
import type { Column, Detail, Row, TableName } from './tables.ts'

export const formats = ['ndjson', 'csv', 'geojson', 'graphml', 'gexf', 'parquet'] as const
export type Format = (typeof formats)[number]

/** Writes rows to sinks. The rows of one table come in order; a promise means: wait before the next row. */
export interface RowWriter {
  write(table: TableName, row: Row): Promise<void> | undefined
  /** The last bytes; sinks are finished by who opened them. */
  end(): Promise<void>
}

/** Writes the rows of one table. */
export interface TableWriter {
  write(row: Row): Promise<void> | undefined
  end(): Promise<void>
}

export type TableWriterFactory = (sink: FileSink, columns: readonly Column[]) => TableWriter

export interface GraphWriterOptions {
  readonly detail: Detail
  /** A temporary for what has to stand behind the rest. */
  readonly spool: FileSink
  readonly atMs: number
}
