/** Private torrents (BEP 27): trackers only; and nothing at all without the user's word. */
import {
  endpointKey,
  type Host,
  parseTarget,
  profiles,
  type SwarmatlasEvent,
  sleep,
  targetFromTorrentFile,
} from '@swarmatlas/core'
import type { SimTorrent } from '@swarmatlas/sim-swarm'
import { describe, expect, test } from 'vitest'
import { endpointsOf, forever, keysOf, noticesOf, ofType, oneTorrent, peerAt, someone } from './rig.ts'
import { simulate } from './simulated.ts'

/** Its peers do not keep to BEP 27: a mapper that does not either would find those of the DHT and of PEX. */
const options = oneTorrent(
  [
    ...someone('tracker', 9, { via: ['tracker'] }),
    ...someone('dht', 6, { via: ['dht'] }),
    ...someone('both', 3, { via: ['dht', 'tracker'] }),
    ...someone('pex', 3, { via: ['pex'], pexConnected: ['tracker-0', 'both-0'] }),
  ],
  { private: true, leaky: true },
  { udpTracker: false },
)

/** Connections to trackers take 3 s longer: the metadata comes before they do. */
function slowTrackers(host: Host, torrent: SimTorrent): Host {
  const isTracker = (port: number) => torrent.trackers.some((url) => url.includes(`:${port}/`))
  return {
    ...host,
    tcp: {
      ...host.tcp,
      async connect(to, connecting) {
        if (isTracker(to.port)) await sleep(host.clock, 3_000, connecting.signal)
        return host.tcp.connect(to, connecting)
      },
    },
  }
}

describe('given as a .torrent', () => {
  test('allowed: its trackers and whom they name, and never the DHT or PEX', () =>
    simulate(options, async ({ sim, torrent, open }) => {
      const rig = await open({ privateOk: true })
      const { report, events } = await rig.map([targetFromTorrentFile(torrent.torrentFile, 'one.torrent')])
      const listed = endpointsOf(torrent, ({ via }) => via.includes('tracker'))
      expect(keysOf(report.peers)).toEqual(listed)
      expect(report.counts.byEvidence).toEqual({ 'role-known': 12 })
      expect(report).toMatchObject({ private: true, notices: [] })
      expect(sim.counters.dhtQueriesByNode.size).toBe(0)
      expect(sim.counters).toMatchObject({ pexSent: 0, peerConnections: 12 })
      expect(rig.mapper.bootstrapped).toBeUndefined()
      expect(ofType(events, 'lookup')).toEqual([])
    }))

  test('not allowed: nothing is sent', () =>
    simulate(options, async ({ sim, torrent, network, open }) => {
      const rig = await open()
      const { report, events } = await rig.map([targetFromTorrentFile(torrent.torrentFile, 'one.torrent')])
      expect(report.peers).toEqual([])
      expect(noticesOf(events)).toEqual(['private'])
      expect(report.notices[0]).toContain('nothing was sent')
      expect(sim.counters.dhtQueriesByNode.size + sim.counters.trackerAnnounces).toBe(0)
      expect(network.stats.connects.size + network.stats.datagrams.size).toBe(0)
    }))
})

describe('given as a magnet', () => {
  test('allowed: after the metadata nothing more goes to the DHT, nor to peers that no tracker named', () =>
    simulate(options, async ({ sim, torrent, network, open }) => {
      const rig = await open({ privateOk: true })
      const round = rig.mapper.round([parseTarget(torrent.magnet)], { signal: forever() })
      const events: SwarmatlasEvent[] = []
      let before: { datagrams: number; connects: Map<string, number> } | undefined
      for await (const event of round) {
        events.push(event)
        if (event.type === 'metadata') {
          const datagrams = [...network.stats.datagrams.values()].reduce((sum, count) => sum + count, 0)
          before = { datagrams, connects: new Map(network.stats.connects) }
        }
      }
      const fromDhtNodes = [...sim.counters.dhtQueriesByNode.values()].reduce((sum, count) => sum + count, 0)
      expect(fromDhtNodes).toBeGreaterThan(0)
      const us = [...network.stats.datagrams].filter(([to]) => !to.startsWith('10.2.'))
      // What was on its way may still arrive; nothing further leaves.
      const sent = us.reduce((sum, [, count]) => sum + count, 0)
      expect(sent).toBeLessThanOrEqual((before?.datagrams ?? 0) + 1)
      const listed = endpointsOf(torrent, ({ via }) => via.includes('tracker'))
      for (const [to, count] of network.stats.connects) {
        const isTracker = torrent.trackers.some((url) => url.includes(to))
        if (count > (before?.connects.get(to) ?? 0) && !isTracker) expect(listed).toContain(to)
      }
      const visited = ofType(events, 'visit')
        .filter((visit) => visit.handshaken)
        .map(({ peer }) => endpointKey(peer))
      for (const key of listed) expect(visited).toContain(key)
      const [notice] = ofType(events, 'notice')
      expect(notice?.message).toMatch(
        /only its trackers are asked from here on; .* [1-9]\d* DHT lookups? had been started and [1-9]\d* peers? greeted/,
      )
    }))

  test('not allowed: contact ends, with its trackers too, and the report says what went out before', () =>
    simulate(options, async ({ sim, torrent, network, open, time }) => {
      const rig = await open()
      const { report, events, result } = await rig.map([torrent.magnet])
      expect(report).toMatchObject({ private: true, metadata: { name: 'one' } })
      expect(report.notices[0]).toMatch(
        /contact with its swarm has ended .*; before its metadata said so, 1 DHT lookup /,
      )
      const metadata = ofType(events, 'metadata')[0]
      // Nobody is held or asked any longer.
      expect(result.endedMs - (metadata?.atMs ?? 0)).toBeLessThan(100)
      const dials = [...network.stats.connects.values()].reduce((sum, count) => sum + count, 0)
      await new Promise((later) => time.clock.timer(60_000, () => later(undefined)))
      expect([...network.stats.connects.values()].reduce((sum, count) => sum + count, 0)).toBe(dials)
      await rig.mapper.close()
      expect(sim.counters.trackerStopped * 2).toBe(sim.counters.trackerAnnounces)
    }))

  test('not allowed: a tracker not yet reached is not asked any more', () =>
    simulate(options, async ({ sim, torrent, network, open }) => {
      const rig = await open({ host: slowTrackers(network.host('10.2.0.9'), torrent) })
      const { report } = await rig.map([torrent.magnet])
      expect(report).toMatchObject({ private: true, trackers: [] })
      await rig.mapper.close()
      expect(sim.counters.trackerAnnounces - sim.counters.trackerStopped).toBe(0)
      for (const url of torrent.trackers) expect(network.stats.connects.get(new URL(url).host) ?? 0).toBeLessThan(2)
      expect(rig.complaints).toEqual([])
    }))

  test('a peer that the DHT named first is visited once a tracker names it too', () =>
    simulate(options, async ({ torrent, network, open }) => {
      // One at a time: most are still in line when the first gives the metadata.
      const rig = await open({
        host: slowTrackers(network.host('10.2.0.9'), torrent),
        privateOk: true,
        profile: { ...profiles.lab, sessions: 1 },
      })
      const { report, events } = await rig.map([torrent.magnet])
      const [metadata] = ofType(events, 'metadata')
      const [tracker] = ofType(events, 'tracker')
      expect(tracker?.atMs).toBeGreaterThan((metadata?.atMs ?? 0) + 1_000)
      const named = torrent.peers.filter(({ spec }) => spec.via.length === 2).map(({ spec }) => spec.name)
      expect(named).toHaveLength(3)
      for (const name of named) {
        const seen = peerAt(report, torrent, name)
        expect(seen, name).toMatchObject({ channels: ['dht', 'tracker'], lastOutcome: 'ok' })
        expect(['handshaken', 'role-known'], name).toContain(seen?.evidence)
      }
      const untouched = report.peers.filter(({ channels }) => channels.length === 1 && channels[0] === 'dht')
      expect(untouched.filter(({ lastOutcome }) => lastOutcome === 'not-tried').length).toBeGreaterThanOrEqual(5)
    }))
})
