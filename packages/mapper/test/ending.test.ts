/** How rounds end: whatever happens, with what is known, soon, and with nothing left behind. */
import {
  type Host,
  limits,
  type Observation,
  parseTarget,
  SwarmatlasError,
  type SwarmatlasEvent,
} from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import type { RoundWriter, TorrentRecord } from '@swarmatlas/peer-graph'
import { type SimTorrent, startSimSwarm } from '@swarmatlas/sim-swarm'
import { leakCheck } from '@swarmatlas/testkit'
import { describe, expect, test } from 'vitest'
import { forever, keysOf, noticesOf, ofType, oneTorrent, openRig, someone } from './rig.ts'
import { simulate } from './simulated.ts'

/** Sessions last: the silent ones to the handshake's timeout, the others until PEX that never comes. */
const lasting = oneTorrent([
  ...someone('peer', 10, { via: ['dht', 'tracker'] }),
  ...someone('hub', 3, { via: ['dht', 'pex'] }),
  ...someone('silent', 10, { via: ['dht'], silent: true }),
])
const stayMs = 60_000

test('the deadline ends a round with what is known', () =>
  simulate(lasting, async ({ torrent, time, open }) => {
    const rig = await open({ stayMs })
    const { report, result, events } = await rig.map([torrent.magnet], { deadlineMs: 2_000 })
    expect(result.reason).toBe('deadline')
    expect(result.endedMs - result.startedMs).toBeLessThan(2_100)
    expect(time.elapsedMs()).toBeLessThan(2_200)
    expect(keysOf(report.peers)).toEqual(torrent.truth)
    expect(report.counts.byEvidence.handshaken ?? report.counts.byEvidence['role-known']).toBeGreaterThan(0)
    expect(ofType(events, 'swarm-ended')).toMatchObject([{ reason: 'deadline', peers: 23 }])
    expect(events.at(-1)).toMatchObject({ type: 'round-ended', reason: 'deadline' })
    expect(rig.complaints).toEqual([])
  }))

test('an abort ends it at once; on real sockets nothing is left open', async () => {
  await using _ = leakCheck()
  await using sim = await startSimSwarm({ host: nodeHost() }, lasting)
  const torrent = sim.torrents[0] as SimTorrent
  await using rig = await openRig(sim, { stayMs })
  const controller = new AbortController()
  const round = rig.mapper.round([parseTarget(torrent.magnet)], { signal: controller.signal })
  let step = await round.next()
  for (; !step.done; step = await round.next()) if (step.value.type === 'metadata') controller.abort()
  expect(step.value).toMatchObject({ reason: 'interrupted' })
  expect(step.value.swarms[0]?.metadata?.info.name).toBe('one')
  expect(rig.complaints).toEqual([])
})

test('a reader that leaves ends the round, and has to wait until nothing of it runs', async () => {
  await using _ = leakCheck()
  await using sim = await startSimSwarm({ host: nodeHost() }, lasting)
  await using rig = await openRig(sim, { stayMs })
  const store = fakeStore()
  for await (const event of rig.mapper.round([parseTarget((sim.torrents[0] as SimTorrent).magnet)], {
    signal: forever(),
    store,
  })) {
    if (event.type === 'metadata') break
  }
  expect(store.sealed).toEqual(['interrupted'])
  expect(sim.counters.peerConnections).toBeGreaterThan(0)
  expect(rig.complaints).toEqual([])
})

test('closing the mapper ends its rounds, also those that nobody reads any more', () =>
  simulate(lasting, async ({ sim, torrent, time, open }) => {
    const rig = await open({ stayMs })
    const store = fakeStore()
    const round = rig.mapper.round([parseTarget(torrent.magnet)], { signal: forever(), store })
    await round.next()
    await new Promise((later) => time.clock.timer(3_000, () => later(undefined)))
    await rig.mapper.close()
    expect(store.sealed).toEqual(['interrupted'])
    const events: SwarmatlasEvent[] = []
    for await (const event of round) events.push(event)
    expect(events.at(-1)).toMatchObject({ type: 'round-ended', reason: 'interrupted' })
    expect(sim.counters.peerConnectionsOpen).toBe(0)
    await expect(rig.map([torrent.magnet])).rejects.toMatchObject({ code: 'ABORTED' })
  }))

test('a reader that has stopped reading does not hold up the end', () =>
  simulate(lasting, async ({ torrent, open }) => {
    const rig = await open()
    const store = fakeStore()
    // Never dialled for its port, so that only the queue of events holds the round up.
    const peers = Array.from({ length: limits.observationQueue }, (_, index) => ({
      address: `10.9.${index >> 8}.${index & 255}`,
      port: 22,
    }))
    const target = { ...parseTarget(torrent.magnet), trackers: [], peers }
    const round = rig.mapper.round([target], { signal: forever(), store })
    await round.next()
    await rig.mapper.close()
    expect(store.sealed).toEqual(['interrupted'])
    expect(rig.complaints).toEqual([])
    await round.return(undefined as never)
  }))

test('aborted before it begins: nothing is sent', () =>
  simulate(lasting, async ({ sim, torrent, open }) => {
    const rig = await open()
    const { result } = await rig.map([torrent.magnet], { signal: AbortSignal.abort() })
    expect(result.reason).toBe('interrupted')
    expect(sim.counters.dhtQueriesByNode.size + sim.counters.trackerAnnounces + sim.counters.peerConnections).toBe(0)
  }))

describe('nobody answers', () => {
  test('neither bootstrap node nor tracker: it ends, and says so', () =>
    simulate(lasting, async ({ torrent, network, open }) => {
      network.kill('10.1.0.1')
      const rig = await open()
      const { report, result, events } = await rig.map([torrent.magnet])
      expect(result.reason).toBe('nothing-new')
      expect(report).toMatchObject({ peers: [], metadataError: { code: 'no-peers' } })
      expect(new Set(report.trackers.map(({ outcome }) => outcome))).toEqual(new Set(['timeout']))
      expect(noticesOf(events)).toEqual(['no-dht'])
    }))

  test('an abort does not wait for the bootstrap', () =>
    simulate(lasting, async ({ torrent, network, time, open }) => {
      network.kill('10.1.0.1')
      const rig = await open()
      const { result } = await rig.map([torrent.magnet], { deadlineMs: 300 })
      expect(result.reason).toBe('deadline')
      expect(time.elapsedMs()).toBeLessThan(320)
      expect(rig.complaints).toEqual([])
    }))

  test('all peers are dead', () =>
    simulate(oneTorrent(someone('dead', 20, { via: ['dht', 'tracker'], down: true })), async ({ torrent, open }) => {
      const rig = await open()
      const { report, result } = await rig.map([torrent.magnet])
      expect(result.reason).toBe('nothing-new')
      expect(report.counts).toMatchObject({ peers: 20, byEvidence: { corroborated: 20 }, unknownRole: 20 })
      expect(report.metadataError?.code).toBe('nobody-answered')
    }))

  test('no target at all', () =>
    simulate(lasting, async ({ open }) => {
      const rig = await open()
      expect((await rig.map([])).result).toMatchObject({ reason: 'nothing-new', swarms: [] })
    }))
})

test('a collector that does not stop is given up after drainMs', () =>
  simulate(lasting, async ({ torrent, network, time, open }) => {
    const host = network.host('10.2.0.9')
    // Name resolution that hears no abort.
    const deaf: Host = { ...host, resolver: { resolve: () => new Promise(() => {}) } }
    const rig = await open({ host: deaf, channels: ['pex'] })
    const target = { ...parseTarget(torrent.magnet), nodes: [{ host: 'node.example', port: 6881 }] }
    const { result } = await rig.map([target], { deadlineMs: 1_000 })
    expect(result.reason).toBe('deadline')
    expect(time.elapsedMs()).toBe(1_000 + limits.drainMs)
    expect(rig.complaints).toEqual([expect.stringContaining('did not stop')])
  }))

interface FakeStore extends RoundWriter {
  readonly sealed: string[]
}

function fakeStore(overrides: Partial<RoundWriter> = {}): FakeStore {
  const sealed: string[] = []
  return {
    number: 7,
    sealed,
    torrent() {},
    observation() {},
    visit() {},
    tracker() {},
    ready: async () => {},
    flush: async () => {},
    seal: async ({ reason }) => void sealed.push(reason),
    ...overrides,
  }
}

describe('a store that cannot be written', () => {
  const full = new SwarmatlasError('STORE_FULL', 'no space left')
  const fail = () => {
    throw full
  }

  test.each([
    ['ready', { ready: () => Promise.reject(full) }],
    ['observation', { observation: fail }],
    ['observation over PEX', { observation: (_: unknown, { channel }: Observation) => channel === 'pex' && fail() }],
    ['metadata', { torrent: (record: TorrentRecord) => record.metadata !== null && fail() }],
    ['visit', { visit: fail }],
    ['tracker', { tracker: fail }],
    ['torrent', { torrent: fail }],
    ['seal', { seal: () => Promise.reject(full) }],
  ])('%s fails: the round ends at once and throws that', (at, broken) =>
    simulate(lasting, async ({ sim, torrent, time, open }) => {
      const rig = await open({ stayMs: at === 'seal' ? 1_500 : stayMs })
      await expect(rig.map([torrent.magnet], { store: fakeStore(broken) })).rejects.toBe(full)
      if (at !== 'seal') expect(time.elapsedMs()).toBeLessThan(6_000)
      await new Promise((later) => time.clock.timer(200, () => later(undefined)))
      expect(sim.counters.peerConnectionsOpen).toBe(0)
      expect(rig.complaints).toEqual([])
      // The mapper itself is sound.
      expect((await rig.map([torrent.magnet], { deadlineMs: 3_000 })).report.counts.peers).toBe(23)
    }),
  )
})
