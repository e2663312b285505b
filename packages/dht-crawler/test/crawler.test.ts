import { EventEmitter, getEventListeners, setMaxListeners } from 'node:events'
import {
  type BencodedDict,
  encodeCompact,
  endpointKey,
  type Host,
  type InfoHash,
  infoHashBytes,
  infoHashFromBytes,
  limits,
  type Observation,
  wireHashes,
} from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { type SimPeerSpec, type SimSwarm, startSimSwarm } from '@swarmatlas/sim-swarm'
import { createSimNetwork, leakCheck, withVirtualTime } from '@swarmatlas/testkit'
import { describe, expect, it, vi } from 'vitest'
import type { DhtLookupSummary } from '../src/index.ts'
import { bootstrapAt, HASH, LOOPBACK, named, never, observe, openNode, peersOf, startRig } from './rig.ts'

const somePeers = (count: number, address?: (index: number) => string): SimPeerSpec[] =>
  Array.from({ length: count }, (_, index) => ({
    name: `peer ${index}`,
    role: 'leech',
    via: ['dht'],
    down: true,
    ...(address && { address: address(index) }),
  }))

function startSwarm(host: Host, options: { nodes?: number; dead?: number; peers?: SimPeerSpec[]; address?: string }) {
  const { nodes = 40, dead = 0, peers = somePeers(12), address = LOOPBACK } = options
  const files = [{ path: 'file', bytes: 100_000 }]
  const torrents = [{ name: 'file', files, pieceLength: 16_384, peers }]
  return startSimSwarm({ host }, { address, dhtNodes: nodes, deadDhtNodes: dead, torrents, seed: 7 })
}

const hashOf = ({ torrents }: SimSwarm) =>
  wireHashes((torrents[0] as SimSwarm['torrents'][number]).hashes)[0] as InfoHash
const endpointsOf = ({ torrents }: SimSwarm) => new Set(torrents[0]?.peers.map(({ endpoint }) => endpointKey(endpoint)))

async function collect(generator: AsyncGenerator<Observation, DhtLookupSummary>) {
  const observations: Observation[] = []
  for (;;) {
    const next = await generator.next()
    if (next.done) return { observations, summary: next.value }
    observations.push(next.value)
  }
}

describe('getPeers', () => {
  it('finds every peer of a swarm on real sockets, each once for each node that holds it', async () => {
    await using _ = leakCheck()
    const host = nodeHost()
    await using swarm = await startSwarm(host, {})
    await using rig = await startRig(host, { bootstrap: swarm.bootstrap })
    expect(await rig.crawler.bootstrap({ signal: never })).toMatchObject({ routersAsked: swarm.bootstrap.length })
    const { observations, summary } = await collect(rig.crawler.getPeers(hashOf(swarm), { signal: never }))

    expect(peersOf(observations)).toEqual(endpointsOf(swarm))
    const tellers = new Set<string>()
    const pairs = new Set<string>()
    for (const { teller, peer, channel, swarm: by } of observations) {
      expect(channel).toBe('dht')
      expect(by).toBe(hashOf(swarm))
      if (teller.kind !== 'dht-node') throw new Error('a DHT node tells')
      expect(teller.id).toMatch(/^[0-9a-f]{40}$/)
      tellers.add(endpointKey(teller.endpoint))
      pairs.add(`${endpointKey(teller.endpoint)} ${endpointKey(peer)}`)
    }
    expect(pairs.size).toBe(observations.length)
    expect(summary).toMatchObject({ holders: tellers.size, peers: endpointsOf(swarm).size })
    expect(summary.replies).toBe(summary.queries)
    expect(swarm.counters.dhtQueriesNotReadOnly).toBe(0)
    expect(swarm.counters.dhtMalformed).toBe(0)
    expect(rig.gate.ledger.totals().dht.packetsIn).toBeGreaterThanOrEqual(summary.replies)
  })

  it('repeats the lookup until a pass brings nothing new: a reply holds a part of the peers only', async () => {
    const host = nodeHost()
    const address = (index: number) => `127.1.${index >> 8}.${index & 255}`
    await using swarm = await startSwarm(host, { peers: somePeers(300, address) })
    await using rig = await startRig(host, { bootstrap: swarm.bootstrap })
    await rig.crawler.bootstrap({ signal: never })
    const once = await collect(rig.crawler.getPeers(hashOf(swarm), { signal: never }))
    const often = await collect(rig.crawler.getPeers(hashOf(swarm), { signal: never, passes: 8 }))
    expect(often.summary.queries).toBeGreaterThan(once.summary.queries)
    expect(often.summary.peers).toBeGreaterThan(290)
    const empty = infoHashFromBytes(new Uint8Array(20))
    const nothing = await collect(rig.crawler.getPeers(empty, { signal: never, passes: 8 }))
    expect(nothing.summary).toMatchObject({ peers: 0, holders: 0 })
    expect(nothing.summary.queries).toBeLessThan(50)
  })

  it('shares a lookup among those who ask for the same hash, the late ones included', async () => {
    const host = nodeHost()
    await using swarm = await startSwarm(host, {})
    await using rig = await startRig(host, { bootstrap: swarm.bootstrap })
    await rig.crawler.bootstrap({ signal: never })
    const first = rig.crawler.getPeers(hashOf(swarm), { signal: never })
    const earliest = (await first.next()).value as Observation
    const [rest, late] = await Promise.all([
      collect(first),
      collect(rig.crawler.getPeers(hashOf(swarm), { signal: never })),
    ])
    expect([earliest, ...rest.observations]).toEqual(late.observations)
    expect(rest.summary).toEqual(late.summary)
    expect(swarm.counters.dhtGetPeersByHash.get(hashOf(swarm))).toBe(late.summary.queries)
  })

  it('ends at once, with what it has, when its signal aborts, when its consumer leaves, when the crawler closes', async () => {
    await using _ = leakCheck()
    const host = nodeHost()
    // It answers one get_peers and names a node that never answers.
    await using silent = await openNode(host, { name: 'silent', answer: () => undefined })
    await using node = await openNode(host, {
      answer: ({ method }) =>
        method === 'get_peers'
          ? { values: [encodeCompact({ address: LOOPBACK, port: 4_001 })], nodes: named([silent.endpoint]) }
          : {},
    })
    await using rig = await startRig(host, { bootstrap: bootstrapAt(node) })
    await rig.crawler.bootstrap({ signal: never })

    const controller = new AbortController()
    const aborted = rig.crawler.getPeers(HASH, { signal: controller.signal })
    expect((await aborted.next()).done).toBe(false)
    const pending = aborted.next()
    controller.abort()
    expect(await pending).toMatchObject({ done: true, value: { peers: 1, holders: 1 } })
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])

    for await (const observation of rig.crawler.getPeers(HASH, { signal: never })) {
      expect(observation.peer.port).toBe(4_001)
      break
    }

    const closed = rig.crawler.getPeers(HASH, { signal: never })
    await closed.next()
    const waiting = closed.next()
    await Promise.all([rig.crawler.close(), rig.crawler.close()])
    expect(await waiting).toMatchObject({ done: true, value: { peers: 1 } })
    expect(await observe(rig.crawler)).toEqual([])
  })

  it('asks nobody any more for an abandoned lookup, and frees its places at once', async () => {
    await withVirtualTime({ seed: 4 }, async () => {
      const net = createSimNetwork({ seed: 4, delayMs: [10, 10] })
      const silent = [2, 3, 4, 5].map((last) => ({ address: `5.0.0.${last}`, port: 6_881 }))
      const values = [encodeCompact({ address: '5.0.0.3', port: 6_881 })]
      const answer = ({ args }: { args: BencodedDict }) =>
        args.has('info_hash') && infoHashFromBytes(args.get('info_hash') as Uint8Array) === HASH
          ? { values, nodes: named(silent, infoHashBytes(HASH)) }
          : {}
      const node = await openNode(net.host('5.0.0.1'), { address: '5.0.0.1', port: 6_881, answer })
      await using rig = await startRig(net.host('6.0.0.1'), { bootstrap: bootstrapAt(node), concurrency: 1 })
      await rig.crawler.bootstrap({ signal: never })
      for await (const _ of rig.crawler.getPeers(HASH, { signal: never })) break
      const other = await collect(rig.crawler.getPeers(infoHashFromBytes(new Uint8Array(20)), { signal: never }))
      expect(other.summary.replies).toBe(1)
      // One place in flight: it is free as soon as the node may be asked again.
      expect(other.summary.durationMs).toBeLessThan(300)
      const asked = silent.filter((endpoint) => net.stats.datagrams.has(endpointKey(endpoint)))
      expect(asked.length).toBeLessThanOrEqual(1)
    })
  })

  it('asks nothing for one who gave up before it began', async () => {
    const host = nodeHost()
    await using node = await openNode(host)
    await using rig = await startRig(host, { bootstrap: bootstrapAt(node) })
    await rig.crawler.bootstrap({ signal: never })
    const gone = await collect(rig.crawler.getPeers(HASH, { signal: AbortSignal.abort() }))
    expect(gone).toMatchObject({ observations: [], summary: { queries: 0 } })
    expect(node.queries.filter(({ method }) => method === 'get_peers')).toEqual([])
  })

  it('leaks no listener over many lookups, ended and abandoned ones', async () => {
    // k-rpc calls this once, on the socket it is given.
    const spy = vi.spyOn(EventEmitter.prototype, 'setMaxListeners')
    const host = nodeHost()
    await using swarm = await startSwarm(host, { nodes: 20 })
    await using rig = await startRig(host, { bootstrap: swarm.bootstrap })
    const socket = spy.mock.contexts[0] as EventEmitter
    spy.mockRestore()
    await rig.crawler.bootstrap({ signal: never })
    await observe(rig.crawler)
    const listeners = () => socket.eventNames().map((name) => [name, socket.listenerCount(name)])
    const before = listeners()
    const { signal } = new AbortController()
    setMaxListeners(0, signal)
    await Promise.all(
      Array.from({ length: 16 }, async (_, index) => {
        const hash = infoHashFromBytes(Buffer.alloc(20, index))
        const lookup = rig.crawler.getPeers(hash, { signal })
        if (index % 4 > 0) return collect(lookup)
        const controller = new AbortController()
        const abandoned = collect(rig.crawler.getPeers(hash, { signal: controller.signal }))
        controller.abort()
        return abandoned
      }),
    )
    expect(before).toContainEqual(['response', 1])
    expect(listeners()).toEqual(before)
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  it('ends a chain of ever nearer nodes', async () => {
    await withVirtualTime({ seed: 3 }, async () => {
      const net = createSimNetwork({ seed: 3 })
      const machine = net.host('5.0.0.0/16')
      const endpoint = (index: number) => ({ address: `5.0.${index >> 8}.${index & 255}`, port: 6_881 })
      const id = (index: number) => {
        const bytes = Buffer.from(infoHashBytes(HASH))
        bytes.writeUInt32BE((bytes.readUInt32BE() ^ (1_000_000 - index)) >>> 0)
        return bytes
      }
      const nodes = Array.from({ length: limits.dhtQueriesPerPass + limits.dhtEntryQueries }, (_, index) =>
        openNode(machine, {
          ...endpoint(index),
          answer: () => ({
            id: id(index),
            nodes: Buffer.concat([id(index + 1), encodeCompact(endpoint(index + 1))]),
          }),
        }),
      )
      await Promise.all(nodes)
      const options = { bootstrap: [{ host: '5.0.0.0', port: 6_881 }] }
      await using rig = await startRig(net.host('6.0.0.1'), options)
      await rig.crawler.bootstrap({ signal: never })
      const { summary } = await collect(rig.crawler.getPeers(HASH, { signal: never }))
      expect(summary.queries).toBe(limits.dhtQueriesPerPass)
    })
  })

  it('finds over IPv6 what only IPv6 nodes hold, which an IPv4 node names (BEP 32), and by IPv6 alone', async () => {
    await withVirtualTime({ seed: 5 }, async () => {
      const net = createSimNetwork({ seed: 5 })
      const peer = { address: '2001:db8:9::1', port: 4_001 }
      const at6 = { address: '2001:db8::1', port: 6_881 }
      const answer = ({ method }: { method: string }) =>
        method === 'get_peers' ? { values: [encodeCompact(peer)] } : {}
      const holder = await openNode(net.host(at6.address), { ...at6, answer })
      const nodes6 = Buffer.concat([holder.id, encodeCompact(at6)])
      const at4 = { address: '5.0.0.1', port: 6_881 }
      const router = await openNode(net.host(at4.address), { ...at4, answer: () => ({ nodes6 }) })
      for (const [addresses, node] of [
        [['6.0.0.1', '2001:db8::9'], router],
        [['2001:db8::a'], holder],
      ] as const) {
        await using rig = await startRig(net.host(addresses), { bootstrap: bootstrapAt(node) })
        expect(await rig.crawler.bootstrap({ signal: never })).toMatchObject({ routersAnswered: 1 })
        expect(peersOf(await observe(rig.crawler))).toEqual(new Set(['[2001:db8:9::1]:4001']))
      }
      const wants = router.queries.map(({ args }) => (args.get('want') as Uint8Array[] | undefined)?.map(String))
      expect(wants[0]).toEqual(['n4', 'n6'])
    })
  })

  it('asks holders again until hardly a peer is new when it is to be thorough', async () => {
    await withVirtualTime({ seed: 6 }, async () => {
      const net = createSimNetwork({ seed: 6 })
      const values = Array.from({ length: 400 }, (_, index) =>
        encodeCompact({ address: `7.0.${index >> 8}.${index & 255}`, port: 6_881 }),
      )
      let turn = 0
      // A hundred at a time, with a stride that meets each of the 400 in the end.
      const answer = ({ method }: { method: string }) => {
        if (method !== 'get_peers') return {}
        turn++
        return { values: values.map((_, index) => values[(turn * 37 + index * 3) % 400] as Uint8Array).slice(0, 100) }
      }
      const at = { address: '5.0.0.1', port: 6_881 }
      const node = await openNode(net.host(at.address), { ...at, answer })
      await using rig = await startRig(net.host('6.0.0.1'), { savedNodes: [node.endpoint] }, { profile: 'aws' })
      await rig.crawler.bootstrap({ signal: never })
      const quick = await collect(rig.crawler.getPeers(HASH, { signal: never }))
      expect(quick.summary).toMatchObject({ peers: 100, rounds: 0, holders: 1, queries: 1 })
      const thorough = await collect(rig.crawler.getPeers(HASH, { signal: never, depth: 'thorough' }))
      expect(thorough.summary.peers).toBeGreaterThan(300)
      expect(thorough.summary.queries).toBe(thorough.summary.rounds + 1)
      // Two seconds between any two queries to the node.
      expect(thorough.summary.durationMs).toBeGreaterThan(thorough.summary.rounds * 2_000)
    })
  })
})
