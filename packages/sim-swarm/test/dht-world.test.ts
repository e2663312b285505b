import { createHash } from 'node:crypto'
import {
  addressBytes,
  type Endpoint,
  encodeBencode,
  endpointKey,
  infoHashBytes,
  prefixOf,
  read,
  sleep,
} from '@swarmatlas/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { SimDhtWorldOptions } from '../src/index.ts'
import { contactsIn, distance, lookUp, valuesIn, withWorld } from './dht-world-rig.ts'

describe('a simulated DHT', () => {
  test.each([4, 6] as const)(
    'gives who asks long enough exactly the peers that live nodes hold, over IPv%i',
    async (family) => {
      await withWorld(
        { seed: 1, nodes: 2_000, families: [family], deadShare: 0.5, swarms: [120, 90] },
        async (world, client) => {
          for (const { hash, peers } of world.swarms) {
            const { found, asked } = await lookUp(world, client, hash, family, 30)
            expect(found).toEqual(peers[family])
            // Of 2,000 nodes a walk meets few.
            expect(asked.size).toBeLessThan(150)
          }
          const dead = world.nodes.filter(({ alive }) => !alive).length
          expect(dead).toBeGreaterThan(900)
          expect(dead).toBeLessThan(1_100)
          expect(world.counters.toDead).toBeGreaterThan(0)
          expect(world.counters).toMatchObject({ malformed: 0, notReadOnly: 0 })
        },
      )
    },
  )

  test('repeats itself from its seed', async () => {
    const told: unknown[] = []
    for (const seed of [7, 7, 8]) {
      await withWorld({ seed, nodes: 300, swarms: [150] }, async ({ nodes, swarms }, client) => {
        const [swarm] = swarms as [(typeof swarms)[number]]
        const holder = nodes.find(({ endpoints }) => endpoints[4] !== undefined)?.endpoints[4] as Endpoint
        const reply = await client.ask(holder, 'get_peers', { info_hash: infoHashBytes(swarm.hash) })
        told.push([swarm.hash, nodes.map(({ compact }) => compact[4]), reply])
      })
    }
    expect(told[0]).toEqual(told[1])
    expect(told[0]).not.toEqual(told[2])
  })

  test('names nodes of the families that are wanted (BEP 32)', async () => {
    await withWorld({ seed: 2, nodes: 400, families: [4, 6], swarms: [] }, async ({ bootstrap }, client) => {
      const [node] = bootstrap as [Endpoint]
      const counts = async (want?: string[]) => {
        const reply = await client.ask(node, 'find_node', { target: Buffer.alloc(20), ...(want && { want }) })
        return [contactsIn(reply, 4).length, contactsIn(reply, 6).length]
      }
      expect(await counts()).toEqual([8, 0])
      expect(await counts(['n6'])).toEqual([0, 8])
      expect(await counts(['n4', 'n6'])).toEqual([8, 8])
    })
  })

  test('answers a scrape with filters, seeds apart, and leaves seeds out for noseed (BEP 33)', async () => {
    await withWorld({ seed: 3, nodes: 200, swarms: [60] }, async ({ nodes, swarms }, client) => {
      const [{ hash, peers, seeds }] = swarms as [(typeof swarms)[number]]
      const info_hash = infoHashBytes(hash)
      const replies = await Promise.all(
        nodes.map(({ endpoints }) => client.ask(endpoints[4] as Endpoint, 'get_peers', { info_hash, scrape: 1 })),
      )
      const bodies = replies.map((reply) => read.dict(reply, 'r')).filter((body) => body?.has('BFsd'))
      expect(bodies).toHaveLength(8)
      const has = (filter: Uint8Array | undefined, key: string) => {
        const digest = createHash('sha1')
          .update(addressBytes(key.slice(0, key.lastIndexOf(':'))))
          .digest()
        return [0, 2].every((at) => {
          const bit = digest.readUInt16LE(at) % 2_048
          return ((filter?.[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0
        })
      }
      for (const body of bodies) {
        expect(body?.has('values')).toBe(false)
        for (const key of peers[4]) expect(has(read.bytes(body, seeds[4].has(key) ? 'BFsd' : 'BFpe'), key)).toBe(true)
      }
      const holder = nodes[replies.findIndex((reply) => read.dict(reply, 'r')?.has('BFsd'))]?.endpoints[4] as Endpoint
      const told = valuesIn(await client.ask(holder, 'get_peers', { info_hash, noseed: 1 })).map(endpointKey)
      expect(new Set(told)).toEqual(new Set([...peers[4]].filter((key) => !seeds[4].has(key))))
      expect(seeds[4].size).toBeGreaterThan(0)
    })
  })

  test('samples the hashes that a node holds, the same within an interval (BEP 51)', async () => {
    await withWorld({ seed: 4, nodes: 8, swarms: Array(25).fill(1) }, async ({ nodes, swarms }, client, { clock }) => {
      const node = nodes[0]?.endpoints[4] as Endpoint
      const samples = async () => {
        const reply = read.dict(await client.ask(node, 'sample_infohashes', { target: Buffer.alloc(20) }), 'r')
        expect(read.integer(reply, 'num')).toBe(25)
        const bytes = Buffer.from(read.bytes(reply, 'samples') ?? [])
        expect(bytes).toHaveLength(20 * 20)
        return {
          intervalMs: (read.integer(reply, 'interval') ?? 0) * 1_000,
          hashes: Array.from({ length: 20 }, (_, i) => bytes.subarray(20 * i, 20 * i + 20).toString('hex')),
        }
      }
      await sleep(clock, 60_000 - (clock.monotonic() % 60_000))
      const first = await samples()
      expect((await samples()).hashes).toEqual(first.hashes)
      await sleep(clock, first.intervalMs)
      const all = new Set([...first.hashes, ...(await samples()).hashes])
      expect(all).toEqual(new Set(swarms.map(({ hash }) => hash)))
    })
  })
})

describe('a hard simulated DHT', () => {
  const hard = { seed: 5, nodes: 1_000, hard: true, swarms: [2_000] }

  test('spreads a swarm over many nodes that hold at most 500 peers and give at most 100', async () => {
    await withWorld(hard, async ({ nodes, swarms }, client) => {
      const [{ hash, peers }] = swarms as [(typeof swarms)[number]]
      const info_hash = infoHashBytes(hash)
      let holders = 0
      for (const { endpoints } of nodes) {
        const told = valuesIn(await client.ask(endpoints[4] as Endpoint, 'get_peers', { info_hash }))
        if (told.length > 0) holders++
        expect(told.length).toBeLessThanOrEqual(100)
        for (const value of told) expect(peers[4].has(endpointKey(value))).toBe(true)
      }
      expect(holders).toBeGreaterThan(12)
      expect(holders).toBeLessThanOrEqual(20)
      expect(peers[4].size).toBeGreaterThan(1_500)
    })
  })

  test('gives at most 25 peers over IPv6', async () => {
    await withWorld({ ...hard, families: [6] }, async ({ nodes, swarms }, client) => {
      const info_hash = infoHashBytes((swarms[0] as (typeof swarms)[number]).hash)
      const replies = await Promise.all(
        nodes.map(({ endpoints }) => client.ask(endpoints[6] as Endpoint, 'get_peers', { info_hash })),
      )
      expect(Math.max(...replies.map((reply) => valuesIn(reply).length))).toBe(25)
    })
  })

  test('goes deaf to who sends 50 packets in 10 s, until it is left alone for 5 minutes', async () => {
    await withWorld(hard, async ({ bootstrap, counters }, client, { clock }) => {
      const [node] = bootstrap as [Endpoint]
      for (let i = 0; i < 49; i++) expect(await client.ask(node, 'ping')).toBeDefined()
      expect(counters.bans).toBe(0)
      expect(await client.ask(node, 'ping')).toBeUndefined()
      expect(counters.bans).toBe(1)
      await sleep(clock, 200_000)
      expect(await client.ask(node, 'ping')).toBeUndefined()
      await sleep(clock, 310_000)
      expect(await client.ask(node, 'ping')).toBeDefined()
    })
  })

  test('sends no more than 8 kB a second after 3 s worth at once', async () => {
    await withWorld(hard, async ({ nodes, swarms, counters }, client, { clock }) => {
      const args = { info_hash: infoHashBytes((swarms[0] as (typeof swarms)[number]).hash) }
      const asked = await Promise.all(
        nodes.map(async ({ endpoints }) => {
          const endpoint = endpoints[4] as Endpoint
          return { endpoint, told: valuesIn(await client.ask(endpoint, 'get_peers', args)).length }
        }),
      )
      const holder = asked.find(({ told }) => told === 100)?.endpoint as Endpoint
      const bytesOfHolder = async () => {
        const before = counters.bytesOut
        await Promise.all(Array.from({ length: 24 }, () => client.ask(holder, 'get_peers', args)))
        return counters.bytesOut - before
      }
      await sleep(clock, 10_000)
      const burst = await bytesOfHolder()
      expect(burst).toBeGreaterThan(20_000)
      expect(burst).toBeLessThan(26_000)
      expect(counters.overRate).toBeGreaterThan(0)
      // A second has passed.
      expect(await bytesOfHolder()).toBeLessThan(10_000)
      expect(counters.bans).toBe(0)
    })
  })

  test('only counts bans when it is not hard', async () => {
    await withWorld({ ...hard, hard: false }, async ({ bootstrap, counters }, client) => {
      for (let i = 0; i < 60; i++) expect(await client.ask(bootstrap[0] as Endpoint, 'ping')).toBeDefined()
      expect(counters.bans).toBe(1)
    })
  })
})

describe('a planted liar', () => {
  const kinds = ['near-id', 'one-prefix', 'victims', 'low-ports', 'swapped-ports', 'fabricates', 'wrong-id'] as const
  const options = { seed: 6, nodes: 1_000, swarms: [50, 50], liars: kinds.map((lie) => ({ lie, count: 4, at: 1 })) }

  test.each(kinds)('of kind %s is met by a lookup of its swarm, and lies as it is said to', async (lie) => {
    await withWorld({ ...options, liars: [{ lie, count: 4, at: 1 }] }, async (world, client) => {
      const swarm = world.swarms[1] as (typeof world.swarms)[number]
      const info_hash = infoHashBytes(swarm.hash)
      const { asked } = await lookUp(world, client, swarm.hash, 4, 1)
      const liars = world.nodes.filter((node) => node.lie === lie)
      expect(liars).toHaveLength(4)
      expect(liars.some(({ endpoints }) => asked.has(endpointKey(endpoints[4] as Endpoint)))).toBe(true)
      const replies = await Promise.all(
        liars.map(({ endpoints }) => client.ask(endpoints[4] as Endpoint, 'get_peers', { info_hash })),
      )
      const bodies = replies.map((reply) => read.dict(reply, 'r'))
      const values = replies.flatMap(valuesIn)
      const ids = bodies.map((body) => Buffer.from(read.bytes(body, 'id') ?? []))
      switch (lie) {
        case 'near-id':
          for (const { id } of liars) expect(distance(id, info_hash).startsWith('0'.repeat(16))).toBe(true)
          break
        case 'one-prefix': {
          const addresses = liars.map(({ endpoints }) => endpoints[4]?.address as string)
          expect(new Set(addresses.map(prefixOf)).size).toBe(1)
          expect(new Set(addresses).size).toBe(4)
          break
        }
        case 'victims': {
          const named = replies.flatMap((reply) => contactsIn(reply, 4)).map(({ endpoint }) => endpointKey(endpoint))
          expect(named).toHaveLength(4 * 8)
          expect(named.every((key) => /^(10|192|127|169|0|255|224|14)\./.test(key))).toBe(true)
          break
        }
        case 'low-ports':
          expect(values.length).toBeGreaterThan(0)
          expect(values.every(({ port }) => port <= 1)).toBe(true)
          break
        case 'swapped-ports': {
          const swapped = values.map(({ address, port }) =>
            endpointKey({ address, port: ((port & 255) << 8) | (port >> 8) }),
          )
          expect(swapped.length).toBeGreaterThan(0)
          expect(swapped.every((key) => swarm.peers[4].has(key))).toBe(true)
          for (const reply of replies)
            expect(Buffer.from(read.bytes(reply, 'v') ?? []).toString('latin1')).toBe('lt\x0d\x80')
          break
        }
        case 'fabricates': {
          const unknown = { info_hash: Buffer.alloc(20, 0x55) }
          const invented = valuesIn(await client.ask(liars[0]?.endpoints[4] as Endpoint, 'get_peers', unknown))
          expect(invented.length).toBeGreaterThan(0)
          expect([...values, ...invented].some((value) => swarm.peers[4].has(endpointKey(value)))).toBe(false)
          break
        }
        case 'wrong-id':
          expect(ids.some((id, i) => id.equals(liars[i]?.id as Uint8Array))).toBe(false)
          break
      }
      if (lie !== 'wrong-id') expect(ids).toEqual(liars.map(({ id }) => Buffer.from(id)))
    })
  })

  test('leaves the truth as it is', async () => {
    await withWorld(options, async ({ swarms }) => {
      for (const { peers } of swarms) expect(peers[4].size).toBe(50)
    })
  })
})

test('no bytes make a node throw', async () => {
  await withWorld({ seed: 9, nodes: 50, swarms: [10] }, async ({ bootstrap, swarms, counters }, client, { clock }) => {
    const [node] = bootstrap as [Endpoint]
    const honest = Buffer.from(
      encodeBencode({
        t: 'aa',
        y: 'q',
        q: 'get_peers',
        a: {
          id: Buffer.alloc(20),
          info_hash: infoHashBytes((swarms[0] as (typeof swarms)[number]).hash),
          want: ['n4'],
        },
      }),
    )
    const mutant = fc.tuple(fc.nat(honest.length - 1), fc.nat(255)).map(([at, byte]) => {
      const bytes = Buffer.from(honest)
      bytes[at] = byte
      return bytes
    })
    for (const bytes of fc.sample(fc.oneof(mutant, fc.uint8Array({ maxLength: 200 })), 500)) client.send(node, bytes)
    await sleep(clock, 100)
    expect(counters.queries).toBe(500)
    expect(counters.malformed).toBeGreaterThan(0)
    expect(await client.ask(node, 'ping')).toBeDefined()
  })
})

test('what cannot be is refused', async () => {
  const world = (options: Partial<SimDhtWorldOptions>) =>
    withWorld({ seed: 1, nodes: 10, swarms: [], ...options }, async () => {})
  await expect(world({ nodes: 0 })).rejects.toMatchObject({ code: 'BAD_OPTION' })
  await expect(world({ deadShare: 1 })).rejects.toMatchObject({ code: 'BAD_OPTION' })
  await expect(world({ liars: [{ lie: 'near-id', count: 1 }] })).rejects.toMatchObject({ code: 'BAD_OPTION' })
})
