/** A swarm of known truth: everybody is found, through each channel, and nobody is told more than a visitor says. */
import { endpointKey } from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { demoSwarmOptions, type SimChannel, type SimSwarm, type SimTorrent, startSimSwarm } from '@swarmatlas/sim-swarm'
import { leakCheck } from '@swarmatlas/testkit'
import { describe, expect, test } from 'vitest'
import { endpointsOf, keysOf, noticesOf, ofType, oneTorrent, openRig, peerAt, someone } from './rig.ts'
import { simulate } from './simulated.ts'

function expectGoodConduct({ counters }: SimSwarm): void {
  expect(counters).toMatchObject({
    interestedReceived: 0,
    pieceRequestsReceived: 0,
    pieceClaimsReceived: 0,
    pexReceived: 0,
    dhtAnnounces: 0,
    dhtQueriesNotReadOnly: 0,
    dhtMalformed: 0,
    peerRejected: 0,
    trackerRefused: 0,
  })
  // Half of the announces are the `stopped` that follow.
  expect(counters.trackerStopped * 2).toBe(counters.trackerAnnounces)
}

test('the swarm of the demo: everybody is found, everybody alive handshaken, roles and names right', async () => {
  await using _ = leakCheck()
  await using sim = await startSimSwarm({ host: nodeHost() }, demoSwarmOptions())
  const torrent = sim.torrents[0] as SimTorrent
  {
    await using rig = await openRig(sim)
    const { report, result, events } = await rig.map([torrent.magnet])
    expect(keysOf(report.peers)).toEqual(endpointsOf(torrent))
    for (const { spec, endpoint, peerId, via, progress } of torrent.peers) {
      const seen = report.peers.find((peer) => endpointKey(peer) === endpointKey(endpoint))
      const wanted = new Set(via.map((channel) => (channel === 'udp-tracker' ? 'tracker' : channel)))
      expect(new Set(seen?.channels), spec.name).toEqual(wanted)
      if (spec.down) {
        expect(seen, spec.name).toMatchObject({ lastOutcome: 'refused', role: null, transport: null, peerId: null })
        expect(['hearsay', 'corroborated']).toContain(seen?.evidence)
      } else {
        const facts = { evidence: 'role-known', role: spec.role, peerId, client: spec.client, lastOutcome: 'ok' }
        expect(seen, spec.name).toMatchObject({ ...facts, transport: 'tcp', encryption: 'plain' })
        expect(seen?.progress, spec.name).toBeCloseTo(progress)
      }
    }
    expect(report.metadata).toMatchObject({ name: torrent.spec.name, totalBytes: torrent.info.totalBytes })
    expect(report.metadata?.files).toEqual(torrent.info.files)
    expect(report.counts).toMatchObject({ peers: torrent.peers.length, unknownRole: 3 })
    expect(report.peers).toEqual([...report.peers].sort((a, b) => a.port - b.port))
    expect(result.reason).toBe('nothing-new')
    expect(report.trackers).toMatchObject([{ outcome: 'ok' }, { outcome: 'ok' }])
    expect([...report.notices, ...noticesOf(events), ...rig.complaints]).toEqual([])
    expect(ofType(events, 'bootstrapped')).toHaveLength(1)
    expect(sim.counters.peerConnections).toBe(torrent.truth.size)
  }
  expectGoodConduct(sim)
})

const ways: readonly (readonly [string, readonly SimChannel[]])[] = [
  ['the DHT', ['dht']],
  ['an HTTP tracker', ['tracker']],
  ['a UDP tracker', ['udp-tracker']],
]

test.each(ways)('%s alone names everybody', (_name, via) => {
  const options = oneTorrent(
    someone('peer', 20, { via }),
    {},
    { httpTracker: via.includes('tracker'), udpTracker: via.includes('udp-tracker') },
  )
  return simulate(options, async ({ sim, torrent, open }) => {
    const rig = await open()
    const { report } = await rig.map([torrent.magnet])
    expect(keysOf(report.peers)).toEqual(torrent.truth)
    expect(report.counts.byEvidence).toEqual({ 'role-known': 20 })
    await rig.mapper.close()
    expectGoodConduct(sim)
  })
})

test('PEX names peers that nobody else names, hop by hop, and a magnet the first of them', () => {
  const options = oneTorrent(
    [
      ...someone('hub', 1, { via: ['dht'] }),
      ...someone('near', 5, { via: ['pex'], pexConnected: ['hub-0'] }),
      ...someone('far', 5, { via: ['pex'], pexConnected: ['near-3'] }),
      ...someone('farthest', 5, { via: ['pex'], pexConnected: ['far-2'] }),
    ],
    {},
    { httpTracker: false, udpTracker: false },
  )
  return simulate(options, async ({ sim, torrent, open }) => {
    const rig = await open({ channels: ['pex'] })
    const hub = torrent.peers[0] as SimTorrent['peers'][number]
    const { report } = await rig.map([`${torrent.magnet}&x.pe=${endpointKey(hub.endpoint)}`])
    expect(keysOf(report.peers)).toEqual(torrent.truth)
    expect(report.counts.byEvidence).toEqual({ 'role-known': 16 })
    expect(peerAt(report, torrent, 'hub-0')?.channels).toEqual(['pex', 'magnet'])
    expect(sim.counters.dhtGetPeersByHash.size + sim.counters.trackerAnnounces).toBe(0)
  })
})

describe('a choice of channels', () => {
  const peers = [
    ...someone('dht', 4, { via: ['dht'] }),
    ...someone('tracker', 4, { via: ['tracker'] }),
    ...someone('pex', 4, { via: ['pex'] }),
  ]

  test('without pex nobody is dialled, and the round does not wait for metadata that cannot come', () =>
    simulate(oneTorrent(peers), async ({ sim, torrent, open }) => {
      const rig = await open({ channels: ['dht', 'tracker'] })
      const { report, events } = await rig.map([torrent.magnet])
      expect(keysOf(report.peers)).toEqual(endpointsOf(torrent, ({ via }) => !via.includes('pex')))
      expect(sim.counters.peerConnections).toBe(0)
      expect(report.counts).toMatchObject({ byEvidence: { hearsay: 8 }, unknownRole: 8 })
      expect(new Set(report.peers.map((peer) => peer.lastOutcome))).toEqual(new Set(['not-tried']))
      expect(report.metadataError?.code).toBe('nobody-answered')
      expect(ofType(events, 'lookup').length).toBeLessThanOrEqual(2)
    }))

  test('without dht and tracker neither is asked', () =>
    simulate(oneTorrent(peers), async ({ sim, torrent, open }) => {
      const rig = await open({ channels: ['tracker', 'pex'] })
      const { report } = await rig.map([torrent.magnet])
      const named = torrent.peers.filter(({ via }) => via.includes('tracker') || via.includes('pex'))
      expect(keysOf(report.peers)).toEqual(keysOf(named.map(({ endpoint }) => endpoint)))
      expect(report.counts.byChannel.dht).toBeUndefined()
      expect(sim.counters.dhtQueriesByNode.size).toBe(0)
      expect(rig.mapper.bootstrapped).toBeUndefined()
    }))

  test('without announce trackers are scraped: figures, no peers, and nobody is listed', () =>
    simulate(oneTorrent(peers), async ({ sim, torrent, open }) => {
      const rig = await open({ channels: ['tracker'], announce: false })
      const { report } = await rig.map([torrent.magnet])
      expect(report.peers).toEqual([])
      expect(report.trackers).toMatchObject([
        { outcome: 'ok', seeds: 2, leeches: 2 },
        { outcome: 'ok', seeds: 0 },
      ])
      expect(sim.counters).toMatchObject({ trackerAnnounces: 0, trackerScrapes: 2 })
    }))
})
