/** Parquet (parquet.apache.org) by hyparquet-writer: a row group at a time, so that memory does not grow with the table. */
import { limits } from '@swarmatlas/core'
import { type BasicType, ByteWriter, type ColumnSource, ParquetWriter, schemaFromColumnData } from 'hyparquet-writer'
import type { TableWriterFactory } from './format.ts'
import { asText, type Column, type Value } from './tables.ts'

export const parquetWriter: TableWriterFactory = (sink, columns) => {
  const bytes = new ByteWriter()
  const schema = schemaFromColumnData({ columnData: sourcesOf(columns, []) })
  const file = new ParquetWriter({ writer: bytes, schema, createdBy: 'swarmatlas' })
  let group: Value[][] = columns.map(() => [])
  let rows = 0

  const drain = async () => {
    const written = bytes.getBytes()
    // Offsets count on; only the place in the buffer begins anew, once its bytes are taken.
    await sink.writeBytes(written)
    bytes.index = 0
  }

  async function endGroup(): Promise<void> {
    await file.write({ columnData: sourcesOf(columns, group), rowGroupSize: rows })
    group = columns.map(() => [])
    rows = 0
    await drain()
  }

  return {
    write(row) {
      for (const [i, { name }] of columns.entries()) (group[i] as Value[]).push(row[name] ?? null)
      return ++rows === limits.exportRowGroupRows ? endGroup() : undefined
    },
    async end() {
      if (rows > 0) await endGroup()
      await file.finish()
      await drain()
    },
  }
}

function sourcesOf(columns: readonly Column[], data: readonly Value[][]): ColumnSource[] {
  return columns.map((column, i) => ({
    name: column.name,
    type: typeOf(column),
    nullable: column.nullable === true,
    data: (data[i] ?? []).map((value) => encoded(column, value)),
  }))
}

function typeOf({ type, long }: Column): BasicType {
  switch (type) {
    case 'string':
    case 'list':
      return 'STRING'
    case 'integer':
      return long ? 'INT64' : 'INT32'
    case 'number':
      return 'DOUBLE'
    case 'boolean':
      return 'BOOLEAN'
    case 'time':
      return 'TIMESTAMP'
  }
}

function encoded({ type, long }: Column, value: Value): unknown {
  if (value === null) return null
  if (type === 'list') return asText(value)
  if (type === 'time') return new Date(Number(value))
  return type === 'integer' && long ? BigInt(value as number) : value
}
