/**
 * Whatever anybody may send, by the ten thousand: SWARMATLAS_PROPERTY_RUNS sets how many datagrams (CI sends a million).
 */
import { type Endpoint, encodeBencode, encodeCompact, infoHashBytes, limits } from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { createSimNetwork, seededRandom, withVirtualTime } from '@swarmatlas/testkit'
import { describe, expect, it } from 'vitest'
import { bootstrapAt, HASH, LOOPBACK, never, observe, openNode, peersOf, startRig } from './rig.ts'

const DATAGRAMS = Number(process.env.SWARMATLAS_PROPERTY_RUNS ?? 100_000)
const ID = Buffer.alloc(20, 0x41)
const NODES = Buffer.concat([ID, encodeCompact({ address: '10.0.0.1', port: 53 })])

/** Valid replies, errors and queries, cut, mutated and stretched; and noise. */
function datagrams(seed: string): () => Buffer {
  const random = seededRandom(seed)
  const number = (below: number) => Math.floor(random.float() * below)
  const templates = [
    encodeBencode({ t: 'aaaa', y: 'r', r: { id: ID, nodes: NODES, values: [new Uint8Array(6), new Uint8Array(18)] } }),
    encodeBencode({ t: 'aaaa', y: 'r', r: { id: ID, nodes6: new Uint8Array(38), BFsd: new Uint8Array(256), num: 5 } }),
    encodeBencode({ t: 'aaaa', y: 'e', e: [203, 'x'] }),
    encodeBencode({ t: 'aaaa', y: 'q', q: 'get_peers', a: { id: ID, info_hash: 5 } }),
    encodeBencode({ t: 'aaaa', y: 'q', q: 'find_node', a: { id: ID, target: 7 } }),
  ]
  return () => {
    if (number(10) === 0) return Buffer.from(random.bytes(number(1_400)))
    const bytes = Buffer.from(templates[number(templates.length)] as Uint8Array)
    for (let changes = number(5); changes > 0; changes--) bytes[number(bytes.length)] = number(256)
    return number(4) === 0 ? bytes.subarray(0, number(bytes.length)) : bytes
  }
}

describe('a flood', () => {
  it(`of ${DATAGRAMS} random and mutated datagrams, from anybody and from nodes being asked, moves nothing`, async () => {
    await withVirtualTime({ seed: 9 }, async () => {
      const net = createSimNetwork({ seed: 9, delayMs: [1, 1] })
      const next = datagrams('flood')
      const share = Math.ceil(DATAGRAMS / 20)
      const holder = await openNode(net.host('5.0.0.1'), {
        address: '5.0.0.1',
        port: 6_881,
        answer(received, self) {
          if (received.method !== 'get_peers') return {}
          // With the transaction id of the query, from the address that was asked: only the contents are wrong.
          const tid = received.message.get('t') as Uint8Array
          for (let index = 0; index < share; index++) {
            const bytes = next()
            const at = bytes.indexOf('1:t4:aaaa')
            if (at >= 0 && index % 2 === 0) bytes.set(tid, at + 5)
            self.send(bytes, received.from)
          }
          return { values: [encodeCompact({ address: '8.8.4.4', port: 6_881 })] }
        },
      })
      const stranger = await openNode(net.host('9.0.0.1'), { address: '9.0.0.1', port: 6_881 })
      await using rig = await startRig(
        net.host('6.0.0.1'),
        { savedNodes: [holder.endpoint] },
        { profile: 'aws', allowPrivate: false },
      )
      await rig.crawler.bootstrap({ signal: never })
      const before = rig.crawler.nodes()
      const at = holder.queries[0]?.from as Endpoint
      for (let index = 0; index < share * 10; index++) {
        stranger.send(next(), at)
        if (index % 5_000 === 0) await new Promise((wake) => setTimeout(wake, 2))
      }
      for (let pass = 0; pass < 10; pass++) {
        await observe(rig.crawler)
        await new Promise((wake) => setTimeout(wake, limits.dhtNodeIntervalMs))
      }
      for (const bytes of [65_507, 5_000, limits.krpcMessageBytes + 1]) stranger.send(Buffer.alloc(bytes, 'd'), at)
      await new Promise((wake) => setTimeout(wake, 5))

      expect(rig.counts.get('dht.dropped.malformed')).toBeGreaterThan(DATAGRAMS / 10)
      expect(rig.counts.get('dht.dropped.oversize')).toBe(3)
      expect(stranger.queries).toEqual([])
      expect([...net.stats.datagrams.keys()].filter((key) => key.startsWith('10.'))).toEqual([])
      for (const { id } of rig.crawler.nodes()) expect(before.map((node) => node.id)).toContain(id)
    })
  }, 120_000)

  it('of unsolicited replies leaves table and memory as they were', async () => {
    await withVirtualTime({ seed: 10 }, async () => {
      const net = createSimNetwork({ seed: 10, delayMs: [1, 1] })
      const node = await openNode(net.host('5.0.0.1'), { address: '5.0.0.1', port: 6_881 })
      const stranger = await openNode(net.host('9.0.0.1'), { address: '9.0.0.1', port: 6_881 })
      await using rig = await startRig(net.host('6.0.0.1'), { savedNodes: [node.endpoint] })
      await rig.crawler.bootstrap({ signal: never })
      const at = node.queries[0]?.from as Endpoint
      const before = rig.crawler.nodes()
      const flood = async (count: number, seed: number) => {
        for (let index = 0; index < count; index++) {
          const t = Buffer.alloc(4)
          t.writeUInt32BE((index * 2_654_435_761 + seed) >>> 0)
          stranger.send(encodeBencode({ t, y: 'r', r: { id: ID, nodes: NODES } }), at)
          if (index % 1_000 === 0) await new Promise((wake) => setTimeout(wake, 2))
        }
        await new Promise((wake) => setTimeout(wake, 10))
      }
      const state = () => JSON.stringify(rig.crawler.state())
      const stateBefore = state()
      await flood(50_000, 1)
      expect(rig.counts.get('dht.dropped.unsolicited')).toBe(50_000)
      expect(rig.crawler.nodes()).toEqual(before)
      // Everything that outlives a datagram is in there: the book of nodes, too, has not grown.
      expect(state()).toBe(stateBefore)
      expect(stranger.queries).toEqual([])
    })
  }, 60_000)

  it('of 64 kB datagrams on a real socket ends nothing', async () => {
    const host = nodeHost()
    await using node = await openNode(host, {
      answer: ({ method }) =>
        method === 'get_peers' ? { values: [encodeCompact({ address: LOOPBACK, port: 4_001 })] } : {},
    })
    await using rig = await startRig(host, { bootstrap: bootstrapAt(node) })
    await rig.crawler.bootstrap({ signal: never })
    const at = { address: LOOPBACK, port: node.queries[0]?.from.port as number }
    for (let index = 0; index < 50; index++) node.send(Buffer.alloc(65_507, index % 2 === 0 ? 'd' : 'l'), at)
    expect(peersOf(await observe(rig.crawler))).toEqual(new Set(['127.0.0.1:4001']))
    expect(rig.counts.get('dht.dropped.oversize')).toBeGreaterThan(0)
  })
})

describe('not one byte goes to an address that the policy forbids', () => {
  it.each<[string, Endpoint[]]>([
    [
      'private ones',
      ['10.0.0.1', '172.16.0.1', '192.168.1.1', '100.64.0.1', '169.254.0.1'].map((address) => ({
        address,
        port: 6_881,
      })),
    ],
    ['this machine', ['127.0.0.1', '0.0.0.0'].map((address) => ({ address, port: 6_881 }))],
    [
      'multicast and broadcast',
      ['224.0.0.1', '239.1.2.3', '255.255.255.255'].map((address) => ({ address, port: 6_881 })),
    ],
    ['ports of services', [53, 123, 1_900, 11_211, 80, 0].map((port) => ({ address: '7.7.7.7', port }))],
  ])('%s, named as the nearest of all nodes', async (_, forbidden) => {
    const asked = await askedWhenNamed(forbidden)
    expect(asked).toEqual([])
  })

  it('one victim on many ports: no more than the policy lets one address have', async () => {
    const ports = Array.from({ length: 200 }, (_, index) => ({ address: '7.7.7.7', port: 2_000 + index }))
    expect((await askedWhenNamed(ports)).length).toBeLessThanOrEqual(8)
  })

  /** Which of these endpoints got a datagram, when all that answers names them, with ids next to every target. */
  async function askedWhenNamed(endpoints: readonly Endpoint[]): Promise<string[]> {
    return await withVirtualTime({ seed: 11 }, async () => {
      const net = createSimNetwork({ seed: 11 })
      const packed = endpoints.map((endpoint, index) => {
        const id = Buffer.from(infoHashBytes(HASH))
        id[19] = index
        return Buffer.concat([id, encodeCompact(endpoint)])
      })
      let at = 0
      const liar = await openNode(net.host('5.0.0.1'), {
        address: '5.0.0.1',
        port: 6_881,
        answer() {
          const nodes = Buffer.concat(packed.slice(at, at + 8))
          at = (at + 8) % packed.length
          return { nodes, values: endpoints.slice(0, 50).map(encodeCompact) }
        },
      })
      const options = { bootstrap: bootstrapAt(liar) }
      await using rig = await startRig(net.host('6.0.0.1'), options, { profile: 'aws', allowPrivate: false })
      await rig.crawler.bootstrap({ signal: never })
      for (let pass = 0; pass < 30; pass++) {
        await observe(rig.crawler)
        await new Promise((wake) => setTimeout(wake, limits.dhtNodeIntervalMs))
      }
      for (const endpoint of endpoints) rig.crawler.addNode(endpoint)
      await observe(rig.crawler)
      expect(liar.queries.length).toBeGreaterThan(20)
      return [...net.stats.datagrams.keys()].filter((key) => !key.startsWith('5.0.0.1:') && !key.startsWith('6.0.0.1:'))
    })
  }
})
