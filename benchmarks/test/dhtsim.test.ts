import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import {
  addressBytes,
  type BencodedDict,
  decodeBencode,
  type Encodable,
  type Endpoint,
  encodeBencode,
  endpointKey,
  type HostPort,
  type InfoHash,
  infoHashBytes,
  parseEndpoint,
  read,
  sleep,
} from '@swarmatlas/core'
import { nodeClock, nodeHost } from '@swarmatlas/core/node'
import { getPeers } from '@swarmatlas/testkit'
import { describe, expect, test } from 'vitest'
import { resetCounters } from '../src/dht/contest.ts'
import { type Dhtsim, type DhtsimOptions, type DhtTruth, dhtsimUnavailable, startDhtsim } from '../src/dht/simulator.ts'

const WAIT_MS = 2_000

type Ask = (to: Endpoint, q: string, args?: Record<string, Encodable>) => Promise<BencodedDict | undefined>

async function withDhtsim(
  options: DhtsimOptions,
  body: (world: { sim: Dhtsim; truth: DhtTruth; nodes: HostPort[]; ask: Ask }) => Promise<void>,
): Promise<void> {
  const sim = await startDhtsim(options)
  const waiting = new Map<string, (body: BencodedDict | undefined) => void>()
  const socket = await nodeHost().udp.open({
    family: 4,
    receiveBufferBytes: 4_194_304,
    onError() {},
    onMessage(bytes) {
      const message = decodeBencode(bytes)
      if (message instanceof Map) waiting.get(read.text(message, 't') ?? '')?.(read.dict(message, 'r'))
    },
  })
  try {
    const truth: DhtTruth = JSON.parse(readFileSync(sim.truthFile, 'utf8'))
    const nodes = (truth.bootstrap4 ?? []).map((text) => {
      const { address, port } = parseEndpoint(text) as Endpoint
      return { host: address, port }
    })
    let asked = 0
    const ask: Ask = (to, q, args = {}) => {
      const t = `q${asked++}`
      const answer = new Promise<BencodedDict | undefined>((resolve) => waiting.set(t, resolve))
      socket.send(encodeBencode({ t, y: 'q', q, ro: 1, a: { id: Buffer.alloc(20), ...args } }), to)
      return Promise.race([answer, sleep(nodeClock, WAIT_MS).then(() => undefined)])
    }
    await body({ sim, truth, nodes, ask })
  } finally {
    await socket.close()
    await sim.close()
  }
}

function nodeAt(nodes: readonly HostPort[], number: number): Endpoint {
  return { address: `127.1.${Math.floor(number / 254)}.${1 + (number % 254)}`, port: (nodes[0] as HostPort).port }
}

describe.skipIf(dhtsimUnavailable() !== undefined)('dhtsim', () => {
  test('serves what it calls the truth, by live nodes alone', async () => {
    await withDhtsim({ nodes: 300, swarms: 1, peers: 80, dead: 30 }, async ({ sim, truth, nodes }) => {
      for (const { hash, peers4 = [] } of truth.swarms) {
        expect(await getPeers(nodeHost(), nodes, hash as InfoHash)).toEqual(new Set(peers4))
        expect(peers4).toHaveLength(80)
      }
      expect(truth.liveNodes).toBeGreaterThan(180)
      expect(truth.liveNodes).toBeLessThan(240)
      const counters = await sim.counters()
      expect(counters.toDead).toBeGreaterThan(0)
      expect(counters.replies).toBe(counters.queries - (counters.toDead as number))
      expect(counters).toMatchObject({ malformed: 0, notReadOnly: 0, foreign: 0 })
    })
  })

  test('is another network for another seed, and the same for the same', async () => {
    const truths: DhtTruth['swarms'][] = []
    for (const seed of [1, 1, 2]) {
      await withDhtsim({ nodes: 100, swarms: 2, peers: 20, hard: 1, seed }, async ({ truth }) => {
        truths.push(truth.swarms)
      })
    }
    expect(truths[0]).toEqual(truths[1])
    expect(truths[0]).not.toEqual(truths[2])
  })

  test('in hard mode spreads a swarm over nodes that hold 500 and give 100, and goes deaf after 50 packets', async () => {
    await withDhtsim({ nodes: 400, swarms: 1, peers: 3_000, hard: 1 }, async ({ sim, truth, nodes, ask }) => {
      const [{ hash, peers4 = [] }] = truth.swarms as [DhtTruth['swarms'][number]]
      const args = { info_hash: infoHashBytes(hash as InfoHash) }
      const replies = await Promise.all(
        Array.from({ length: 400 }, (_, number) => ask(nodeAt(nodes, number), 'get_peers', args)),
      )
      const holders = replies.flatMap((body, number) => (body?.has('values') ? [number] : []))
      expect(holders.length).toBeGreaterThan(12)
      expect(holders.length).toBeLessThanOrEqual(20)
      const told = holders.map((number) => read.list(replies[number], 'values')?.length)
      expect(Math.max(...told.map(Number))).toBe(100)
      expect(peers4.length).toBeGreaterThan(2_000)

      expect(await sim.counters()).toMatchObject({ bans: 0, overRate: 0 })
      const deaf = nodeAt(nodes, holders[0] as number)
      for (let packets = 1; packets < 49; packets++) expect(await ask(deaf, 'ping')).toBeDefined()
      expect(await ask(deaf, 'ping')).toBeUndefined()
      expect(await sim.counters()).toMatchObject({ bans: 1, banned: 1 })
    })
  })

  test('puts each peer into the filters of a scrape, seeds apart (BEP 33)', async () => {
    await withDhtsim({ nodes: 60, swarms: 1, peers: 50 }, async ({ truth, nodes, ask }) => {
      const [{ hash, peers4 = [] }] = truth.swarms as [DhtTruth['swarms'][number]]
      const info_hash = infoHashBytes(hash as InfoHash)
      const places = Array.from({ length: 60 }, (_, number) => nodeAt(nodes, number))
      const scraped = await Promise.all(places.map((place) => ask(place, 'get_peers', { info_hash, scrape: 1 })))
      const holders = places.filter((_, number) => scraped[number]?.has('BFsd'))
      expect(holders).toHaveLength(8)
      const filters = scraped.find((body) => body?.has('BFsd'))
      const inFilter = (name: string, key: string) => {
        const filter = read.bytes(filters, name) as Uint8Array
        const digest = createHash('sha1')
          .update(addressBytes((parseEndpoint(key) as Endpoint).address))
          .digest()
        const bits = [0, 2].map((at) => digest.readUInt16LE(at) % 2_048)
        return bits.every((bit) => ((filter[bit >> 3] as number) & (1 << (bit & 7))) !== 0)
      }
      const unseeding = await ask(holders[0] as Endpoint, 'get_peers', { info_hash, noseed: 1 })
      const downloaders = new Set(
        read.list(unseeding, 'values')?.map((value) => {
          const bytes = Buffer.from(value as Uint8Array)
          return endpointKey({ address: [...bytes.subarray(0, 4)].join('.'), port: bytes.readUInt16BE(4) })
        }),
      )
      expect(downloaders.size).toBeGreaterThan(10)
      expect(downloaders.size).toBeLessThan(50)
      for (const key of peers4) expect(inFilter(downloaders.has(key) ? 'BFpe' : 'BFsd', key)).toBe(true)
    })
  })

  test('gives samples with an interval, counts from a RESET on, and survives what is no query', async () => {
    await withDhtsim({ nodes: 8, swarms: 30, peers: 1 }, async ({ sim, nodes, ask }) => {
      const node = nodeAt(nodes, 0)
      const body = await ask(node, 'sample_infohashes', { target: Buffer.alloc(20) })
      expect(read.integer(body, 'num')).toBe(30)
      expect(read.integer(body, 'interval')).toBe(60)
      expect(read.bytes(body, 'samples')).toHaveLength(20 * 20)
      await resetCounters({ bootstrap: [node] })
      const socket = await nodeHost().udp.open({ family: 4, onError() {}, onMessage() {} })
      for (const rubbish of ['', 'd', 'd1:ad2:id99999:', `d1:a${'l'.repeat(900)}`, 'i'.repeat(1_400)]) {
        socket.send(Buffer.from(rubbish), node)
      }
      await sleep(nodeClock, 50)
      await socket.close()
      expect(await ask(node, 'ping')).toBeDefined()
      expect(await sim.counters()).toMatchObject({ queries: 6, malformed: 5, replies: 1 })
    })
  })
})
