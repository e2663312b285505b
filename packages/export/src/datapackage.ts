/** The description of an export: a Data Package (specs.frictionlessdata.io) with a JSON Schema for each table. */
import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import type { GeoDatabase } from '@swarmatlas/core'
import type { WrittenFile } from './file-sink.ts'
import type { Format } from './format.ts'
import { type Column, columnsOf, type Detail, type TableName, tables } from './tables.ts'

export interface ExportedFile extends WrittenFile {
  /** Null: the file holds a graph or a map, not one table. */
  readonly table: TableName | null
  /** Rows, or features of a map. */
  readonly rows: number
}

/** A time in which nobody looked. */
export interface Gap {
  readonly fromMs: number
  readonly toMs: number
}

export interface Provenance {
  readonly program: 'swarmatlas'
  readonly version: string
  /** As it was called, without paths. */
  readonly command: string
  /** What was asked for; `configurationSha256` is of its JSON. */
  readonly configuration: Readonly<Record<string, unknown>>
  readonly geo: GeoDatabase | null
  /** From the start of the first round to the end of the last; null without rounds. */
  readonly window: Gap | null
  readonly gaps: readonly Gap[]
  readonly rounds: number
}

export function dataPackage(
  format: Format,
  detail: Detail,
  files: readonly ExportedFile[],
  provenance: Provenance,
): string {
  const configurationSha256 = createHash('sha256').update(JSON.stringify(provenance.configuration)).digest('hex')
  const described = {
    profile: 'data-package',
    name: 'swarmatlas-export',
    title: 'Swarmatlas: peers of BitTorrent swarms and who told of them',
    description: PRIVACY[detail],
    resources: files.map((file) => ({
      name: file.table ?? 'graph',
      path: basename(file.path),
      format,
      mediatype: MEDIA_TYPES[format],
      encoding: 'utf-8',
      bytes: file.bytes,
      hash: `sha256:${file.sha256}`,
      rows: file.rows,
      ...(file.table === null ? {} : tableParts(file.table, format, detail)),
    })),
    ...(format === 'graphml' || format === 'gexf'
      ? { jsonSchemas: { nodes: jsonSchema('peers', detail), edges: jsonSchema('edges', detail) } }
      : {}),
    provenance: { ...provenance, configurationSha256 },
  }
  return `${JSON.stringify(described, null, 2)}\n`
}

const MEDIA_TYPES: Readonly<Record<Format, string>> = {
  ndjson: 'application/x-ndjson',
  csv: 'text/csv',
  geojson: 'application/geo+json',
  graphml: 'application/graphml+xml',
  gexf: 'application/gexf+xml',
  parquet: 'application/vnd.apache.parquet',
}

const PRIVACY: Readonly<Record<Detail, string>> = {
  pseudonyms:
    'Peers go by pseudonyms. Country, network and client are shown only where at least five hosts share them. Whoever holds the key of the study can link a pseudonym to an address that he guesses.',
  prefixes:
    'FOR RESEARCH: peers go by pseudonyms beside the network of their address (/24 or /48). Personal data: do not publish.',
  addresses: 'RAW ADDRESSES: personal data. Do not publish or pass on.',
}

function tableParts(table: TableName, format: Format, detail: Detail): Record<string, unknown> {
  const { means, key } = tables[table]
  return {
    profile: format === 'csv' ? 'tabular-data-resource' : 'data-resource',
    description: means,
    ...(format === 'csv'
      ? { dialect: { delimiter: ',', lineTerminator: '\r\n', doubleQuote: true, quoteChar: '"', header: true } }
      : {}),
    schema: {
      fields: columnsOf(table, detail).map((column) => ({
        name: column.name,
        type: FIELD_TYPES[column.type](format),
        description: column.means,
        constraints: {
          ...(column.nullable ? {} : { required: true }),
          ...(column.values && column.type === 'string' ? { enum: column.values } : {}),
        },
      })),
      primaryKey: key,
      missingValues: [''],
    },
    jsonSchema: jsonSchema(table, detail),
  }
}

/** Table Schema types; lists are text outside NDJSON. */
const FIELD_TYPES: Readonly<Record<Column['type'], (format: Format) => string>> = {
  string: () => 'string',
  integer: () => 'integer',
  number: () => 'number',
  boolean: () => 'boolean',
  time: (format) => (format === 'parquet' ? 'datetime' : 'integer'),
  list: (format) => (format === 'ndjson' ? 'array' : 'string'),
}

/** JSON Schema (2020-12) of one line of NDJSON. */
function jsonSchema(table: TableName, detail: Detail): Record<string, unknown> {
  const columns = columnsOf(table, detail)
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: table,
    description: tables[table].means,
    type: 'object',
    properties: Object.fromEntries(columns.map((column) => [column.name, propertyOf(column)])),
    required: columns.map(({ name }) => name),
    additionalProperties: false,
  }
}

function propertyOf({ type, nullable, values, means }: Column): Record<string, unknown> {
  const known = values === undefined ? {} : { enum: values }
  const orNull = (name: string) => (nullable ? [name, 'null'] : name)
  if (type === 'list') {
    return { type: orNull('array'), items: { type: 'string', ...known }, description: means }
  }
  const name = type === 'time' ? 'integer' : type
  return {
    type: orNull(name),
    ...(values === undefined ? {} : { enum: nullable ? [...values, null] : values }),
    description: type === 'time' ? `${means} Unix milliseconds.` : means,
  }
}
