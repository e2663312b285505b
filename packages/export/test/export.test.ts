import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { SwarmatlasError } from '@swarmatlas/core'
import { expect, test } from 'vitest'
import { exportGraph, formats } from '../src/index.ts'
import { exportTo, filesIn, linesOf, makeFolder } from './folder.ts'
import { endpointsOf, graphOf, hostileGraph, peerOf, pseudonyms, roundOf } from './graph.ts'

interface Descriptor {
  resources: {
    path: string
    bytes: number
    hash: string
    rows: number
    schema: { fields: { name: string; type: string }[]; primaryKey: string[] }
    jsonSchema: {
      properties: Record<string, { type: string | string[]; enum?: unknown[]; items?: { enum?: unknown[] } }>
      required: string[]
    }
  }[]
  provenance: Record<string, unknown>
}

const descriptorOf = (path: string): Descriptor => JSON.parse(readFileSync(path, 'utf8')) as Descriptor

test.each(formats)('the data package of an export in %s names its files by their hashes', async (format) => {
  const folder = makeFolder()
  const { descriptor, main, files } = await exportTo(folder, hostileGraph().view, { format })
  const { resources } = descriptorOf(descriptor)
  expect(new Set([...resources.map(({ path }) => path), 'datapackage.json'])).toEqual(new Set(readdirSync(folder)))
  for (const { path, bytes, hash } of resources) {
    const content = readFileSync(join(folder, path))
    expect([bytes, hash]).toEqual([content.length, `sha256:${createHash('sha256').update(content).digest('hex')}`])
  }
  expect(files.map(({ path }) => path)).toContain(main)
})

test('the JSON Schema of a table allows every row of it, and would not allow others', async () => {
  const folder = makeFolder()
  const { view } = hostileGraph()
  const { descriptor } = await exportTo(folder, view, { format: 'ndjson', detail: 'addresses', evidence: 'hearsay' })
  for (const { path, jsonSchema, schema } of descriptorOf(descriptor).resources) {
    const { properties, required } = jsonSchema
    expect(schema.fields.map(({ name }) => name)).toEqual(Object.keys(properties))
    const rows = linesOf<Record<string, unknown>>(join(folder, path))
    expect(rows.length).toBeGreaterThan(0)
    for (const row of rows) {
      expect(Object.keys(row)).toEqual(required)
      for (const [name, value] of Object.entries(row)) {
        const property = properties[name] as (typeof properties)[string]
        const type =
          value === null ? 'null' : Array.isArray(value) ? 'array' : Number.isInteger(value) ? 'integer' : typeof value
        const allowed = [property.type].flat()
        expect(allowed.includes('number') ? [...allowed, 'integer'] : allowed, `${path} ${name}`).toContain(type)
        if (property.enum) expect(property.enum).toContain(value)
        if (property.items?.enum && value !== null)
          expect(property.items.enum).toEqual(expect.arrayContaining(value as unknown[]))
      }
    }
    const keys = rows.map((row) => JSON.stringify(schema.primaryKey.map((name) => row[name])))
    expect(new Set(keys).size).toBe(keys.length)
  }
})

test('says where the data comes from: version, places, time, gaps, configuration, command without paths', async () => {
  const folder = makeFolder()
  const [endpoint] = endpointsOf(1) as [ReturnType<typeof endpointsOf>[number]]
  const rounds = [
    roundOf(1, 1_000, 2_000),
    roundOf(2, 1_500, 5_000),
    roundOf(3, 9_000, null),
    roundOf(4, 20_000, 21_000),
  ]
  const view = graphOf({ peers: [peerOf({ endpoint })], rounds })
  const { descriptor } = await exportTo(folder, view, { format: 'csv' })
  expect(descriptorOf(descriptor).provenance).toEqual({
    program: 'swarmatlas',
    version: '1.2.3',
    command: 'swarmatlas export --format csv',
    configuration: {
      format: 'csv',
      detail: 'pseudonyms',
      evidence: 'handshaken',
      swarm: null,
      round: null,
      cellHosts: 5,
    },
    configurationSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    geo: { name: 'a test table', built: '2026-11-01', attribution: null },
    window: { fromMs: 1_000, toMs: 21_000 },
    gaps: [
      { fromMs: 5_000, toMs: 9_000 },
      { fromMs: 9_000, toMs: 20_000 },
    ],
    rounds: 4,
  })
})

test.each(formats)('the same store gives the same bytes in %s', async (format) => {
  const folder = makeFolder()
  for (const name of ['a', 'b']) await exportTo(join(folder, name), hostileGraph().view, { format })
  expect(filesIn(join(folder, 'a'))).toEqual(filesIn(join(folder, 'b')))
})

test('a file name with the ending of the format holds the peers, and the rest stands beside it', async () => {
  const folder = makeFolder()
  const { main } = await exportTo(join(folder, 'deep/x.csv'), hostileGraph().view, { format: 'csv' })
  expect(main).toBe(join(folder, 'deep/x.csv'))
  expect(readdirSync(join(folder, 'deep')).sort()).toEqual(
    ['x.csv', 'x-edges.csv', 'x-rounds.csv', 'x-swarms.csv', 'x.datapackage.json'].sort(),
  )
  await expect(exportTo(join(folder, 'x.gexf'), hostileGraph().view, { format: 'csv' })).rejects.toMatchObject({
    code: 'BAD_OPTION',
  })
})

test.each(formats)('a store that fails midway leaves the files of before, and no others, in %s', async (format) => {
  const folder = makeFolder()
  await exportTo(folder, hostileGraph().view, { format })
  const before = filesIn(folder)
  const { view } = hostileGraph()
  const broken = {
    ...view,
    async *peers() {
      yield* view.peers({})
      throw new SwarmatlasError('STORE_CORRUPT', 'a block is damaged')
    },
  }
  await expect(exportTo(folder, broken, { format })).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
  expect(filesIn(folder)).toEqual(before)
})

test('an interrupted export leaves nothing behind', async () => {
  const folder = makeFolder()
  const abort = new AbortController()
  const { view } = hostileGraph()
  const slow = {
    ...view,
    async *edges(filter: Parameters<typeof view.edges>[0]) {
      for await (const edge of view.edges(filter)) {
        abort.abort()
        yield edge
      }
    },
  }
  await expect(exportTo(folder, slow, { format: 'gexf' }, abort.signal)).rejects.toThrow(/abort/i)
  expect(readdirSync(folder)).toEqual([])
})

test('a place that cannot be written to is an error of its own', async () => {
  const folder = makeFolder()
  const file = join(folder, 'file')
  writeFileSync(file, '')
  await expect(exportTo(join(file, 'x'), hostileGraph().view, { format: 'csv' })).rejects.toMatchObject({
    code: 'WRITE_FAILED',
  })
  mkdirSync(join(folder, 'taken.csv'))
  const { main } = await exportTo(join(folder, 'taken.csv'), hostileGraph().view, { format: 'csv' })
  expect(dirname(main)).toBe(join(folder, 'taken.csv'))
})

test('reads no more of the store than it has written, but for a buffer, and says how far it is', async () => {
  const folder = makeFolder()
  const [endpoint] = endpointsOf(1) as [ReturnType<typeof endpointsOf>[number]]
  const peer = peerOf({ endpoint })
  let read = 0
  const graph = graphOf({ peers: [peer] })
  const view = {
    ...graph,
    async *peers() {
      for (read = 0; read < 60_000; read++) yield peer
    },
  }
  const seen: number[] = []
  await exportGraph(
    { view, pseudonyms },
    {
      format: 'ndjson',
      output: folder,
      detail: 'prefixes',
      evidence: 'handshaken',
      version: '1',
      command: '',
      database: null,
    },
    {
      signal: new AbortController().signal,
      onProgress({ rows }) {
        seen.push(rows)
        expect(read).toBeLessThan(rows + 10)
      },
    },
  )
  expect(seen).toEqual([10_000, 20_000, 30_000, 40_000, 50_000, 60_000, 60_002])
})
