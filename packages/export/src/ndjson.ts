/** NDJSON: one JSON object a line. */
import type { TableWriterFactory } from './format.ts'

export const ndjsonWriter: TableWriterFactory = (sink) => ({
  write: (row) => sink.write(`${JSON.stringify(row)}\n`),
  async end() {},
})
