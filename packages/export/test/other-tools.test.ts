/** Other programs read what we write: networkx (python3-networkx), DuckDB (npm install --no-save @duckdb/node-api, or NODE_PATH). */
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { exportTo, makeFolder } from './folder.ts'
import { hostileGraph } from './graph.ts'

const PYTHON = `
import json, sys, networkx
read = networkx.read_graphml if sys.argv[1].endswith('.graphml') else networkx.read_gexf
graph = read(sys.argv[1])
kind = 'nodeKind'
kinds = {}
for _, data in graph.nodes(data=True):
    kinds[data[kind]] = kinds.get(data[kind], 0) + 1
print(json.dumps({
    'nodes': graph.number_of_nodes(), 'edges': graph.number_of_edges(), 'directed': graph.is_directed(), 'kinds': kinds,
    'counts': sum(data['count'] for _, _, data in graph.edges(data=True)),
    'seeds': sum(data.get('role') == 'seed' for _, data in graph.nodes(data=True)),
    'label': all(data['label'] for _, data in graph.nodes(data=True)),
}))`

const hasNetworkx = spawnSync('python3', ['-c', 'import networkx']).status === 0

test.skipIf(!hasNetworkx).each(['graphml', 'gexf'] as const)(
  'networkx reads as many nodes and edges from %s',
  async (format) => {
    const { view } = hostileGraph()
    const { main, counts } = await exportTo(makeFolder(), view, { format })
    const { stdout, stderr } = spawnSync('python3', ['-c', PYTHON, main], { encoding: 'utf8' })
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toEqual({
      nodes: 21,
      edges: counts.edges,
      directed: true,
      kinds: { peer: counts.peers + 2, 'dht-node': 2, tracker: 6, self: 2 },
      counts: 3 * counts.edges,
      seeds: 1,
      label: true,
    })
  },
)

interface DuckDb {
  DuckDBInstance: {
    create(path: string): Promise<{
      connect(): Promise<{ runAndReadAll(sql: string): Promise<{ getRowsJson(): unknown[][] }>; closeSync(): void }>
      closeSync(): void
    }>
  }
}

function findDuckDb(): DuckDb | undefined {
  try {
    return createRequire(import.meta.url)('@duckdb/node-api') as DuckDb
  } catch {
    return undefined
  }
}

const duckDb = findDuckDb()

test.skipIf(duckDb === undefined)('DuckDB counts and joins the Parquet files', async () => {
  const folder = makeFolder()
  const { counts } = await exportTo(folder, hostileGraph().view, { format: 'parquet' })
  const instance = await (duckDb as DuckDb).DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  const ask = async (sql: string) => (await connection.runAndReadAll(sql)).getRowsJson()
  const file = (table: string) => `'${join(folder, `${table}.parquet`)}'`
  for (const table of ['peers', 'edges', 'rounds', 'swarms'] as const) {
    expect(await ask(`select count(*) from ${file(table)}`)).toEqual([[String(counts[table])]])
  }
  const joined = await ask(
    `select count(*), min(p.firstSeenMs)::varchar from ${file('edges')} e join ${file('peers')} p using (swarm, peer)`,
  )
  expect(joined).toEqual([[String(counts.edges), expect.stringContaining('2026-11-23 02:13:20')]])
  connection.closeSync()
  instance.closeSync()
})
