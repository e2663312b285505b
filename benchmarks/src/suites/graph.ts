/** The peer graph: facts a second beside LevelDB's own batches of the same records, bytes a fact, and quick answers. */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Endpoint, type InfoHash, type Observation, silentLogger } from '@swarmatlas/core'
import { nodeClock } from '@swarmatlas/core/node'
import { openPeerGraph, type PeerGraph } from '@swarmatlas/peer-graph'
import { Level } from 'level'
import { type Cost, startMeasuring } from '../cost.ts'
import type { Suite, Work } from '../suite.ts'

const SWARM = 'a'.repeat(40) as InfoHash
/** Each of so many peers names so many others, all in one message: what PEX does. */
const NAMED = 50
const INGEST_PEERS = 6_000
const QUERY_PEERS = 100_000
const QUERY_NAMED = 5
/** Where the plain batches are as large as the store's own. */
const BATCH = 5_000

export const graphIngest: Suite = {
  name: 'graph-ingest',
  describes: `${INGEST_PEERS * NAMED} facts of one round written; the alternative writes keys and values of the same size in batches of ${BATCH}; and its size once sealed`,
  contenders: ['swarmatlas', 'level'],
  openWorld: temporaryWorld,
  async run(contender, world) {
    const { dir, seed } = world as GraphWorld
    return contender === 'swarmatlas' ? ingest(dir, seed) : plainBatches(dir, seed)
  },
}

export const graphQuery: Suite = {
  name: 'graph-query',
  describes: `a swarm of ${QUERY_PEERS} peers in two rounds: time is that of listing one round; milliseconds of the other questions`,
  contenders: ['swarmatlas'],
  openWorld: temporaryWorld,
  async run(_, world) {
    const { dir, seed } = world as GraphWorld
    const filled = await openGraph(dir)
    for (let round = 0; round < 2; round++) await fill(filled, facts(seed, QUERY_PEERS, QUERY_NAMED))
    await filled.close()
    const openMs = await timed(async () => (await openGraph(dir)).close())
    await using graph = await openGraph(dir)
    const listing = await measured(() => drain(graph.peers({ round: 'latest' })))
    const explainMs = await timed(() => graph.explain(endpointAt(77)))
    const differenceMs = await timed(() => drain(graph.difference(1, 2)))
    const swarmsMs = await timed(() => drain(graph.swarms()))
    return {
      ...listing,
      figures: { 'open ms': openMs, 'explain ms': explainMs, 'difference ms': differenceMs, 'swarms ms': swarmsMs },
    }
  },
}

interface GraphWorld {
  readonly dir: string
  readonly seed: number
}

async function temporaryWorld(seed: number): Promise<{ description: GraphWorld; close(): Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), 'graph-'))
  return { description: { dir, seed }, close: () => rm(dir, { recursive: true, force: true }) }
}

function openGraph(dir: string): Promise<PeerGraph> {
  return openPeerGraph({ clock: nodeClock, logger: silentLogger }, { dir: join(dir, 'store'), create: true })
}

async function ingest(dir: string, seed: number): Promise<Work> {
  const given = [...facts(seed, INGEST_PEERS, NAMED)]
  await using graph = await openGraph(dir)
  const { cost, sealMs } = await fill(graph, given)
  await graph.close()
  const bytes = (await sizeOf(dir, 'sealed-')) / given.length
  return { ...cost, figures: { 'seal ms': sealMs, 'bytes a fact': bytes } }
}

async function fill(graph: PeerGraph, given: Iterable<Observation>): Promise<{ cost: Cost; sealMs: number }> {
  const writer = await graph.startRound({ atMs: nodeClock.now(), vantage: 'bench', command: 'bench' })
  const cost = await measured(async () => {
    let count = 0
    for (const observation of given) {
      writer.observation(SWARM, observation)
      if (count++ % 100 === 0) await writer.ready()
    }
    await writer.flush()
  })
  const sealMs = await timed(() => writer.seal({ atMs: nodeClock.now(), reason: 'nothing-new' }))
  return { cost, sealMs }
}

async function plainBatches(dir: string, seed: number): Promise<Work> {
  const given = [...facts(seed, INGEST_PEERS, NAMED)]
  const db = new Level<Buffer, Buffer>(join(dir, 'plain'), { keyEncoding: 'buffer', valueEncoding: 'buffer' })
  await db.open()
  const next = seeded(seed)
  const cost = await measured(async () => {
    for (let from = 0; from < given.length; from += BATCH) {
      await db.batch(
        given.slice(from, from + BATCH).map(({ atMs }) => {
          const [key, value] = [Buffer.alloc(19, 1), Buffer.alloc(14, 2)]
          key.writeUInt32BE(next(2 ** 31), 4)
          key.writeUInt32BE(next(2 ** 31), 11)
          value.writeUIntBE(atMs, 0, 6)
          return { type: 'put' as const, key, value }
        }),
      )
    }
  })
  await db.close()
  return { ...cost, figures: {} }
}

function* facts(seed: number, peers: number, named: number): Generator<Observation> {
  const next = seeded(seed)
  const begun = nodeClock.now()
  for (let i = 0; i < peers; i++) {
    const teller = { kind: 'peer', endpoint: endpointAt(i) } as const
    const atMs = begun + next(3_600_000)
    for (let k = 0; k < named; k++) {
      yield { atMs, swarm: SWARM, channel: 'pex', teller, peer: endpointAt(next(peers)), flags: [] }
    }
  }
}

function endpointAt(i: number): Endpoint {
  return { address: `${20 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.7`, port: 6_881 }
}

function seeded(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

async function measured(task: () => Promise<unknown>): Promise<Cost> {
  const cost = startMeasuring()
  await task()
  return cost()
}

async function timed(task: () => Promise<unknown>): Promise<number> {
  return (await measured(task)).timeMs
}

async function drain(source: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of source);
}

async function sizeOf(dir: string, prefix: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(join(dir, 'store'), { recursive: true, withFileTypes: true })) {
    if (entry.isFile() && entry.parentPath.includes(prefix))
      bytes += (await stat(join(entry.parentPath, entry.name))).size
  }
  return bytes
}
