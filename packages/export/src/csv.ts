/** CSV (RFC 4180): UTF-8, CRLF, a header line. A text that a spreadsheet would take for a formula gets a ' before it. */
import type { TableWriterFactory } from './format.ts'
import { asText, type Column, type Value } from './tables.ts'

export const csvWriter: TableWriterFactory = (sink, columns) => {
  let header = `${columns.map(({ name }) => name).join(',')}\r\n`
  return {
    write(row) {
      const line = `${header}${columns.map((column) => field(column, row[column.name] ?? null)).join(',')}\r\n`
      header = ''
      return sink.write(line)
    },
    async end() {
      await sink.write(header)
    },
  }
}

function field({ type }: Column, value: Value): string {
  const text = asText(value) ?? ''
  if (type !== 'string' && type !== 'list') return text
  // OWASP "CSV Injection"; full-width forms are normalised by some spreadsheets.
  const safe = /^[\s]*[=+\-@\uff1d\uff0b\uff0d\uff20\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n']|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
