/** Many torrents at once, and few contacts a minute. */
import { profiles } from '@swarmatlas/core'
import { expect, test } from 'vitest'
import { keysOf, ofType, oneTorrent, someone } from './rig.ts'
import { simulate } from './simulated.ts'

test('30 torrents of 30 peers in one round: everybody is found and visited once', () => {
  const torrents = Array.from({ length: 30 }, (_, index) => ({
    name: `torrent ${index}`,
    files: [{ path: `torrent ${index}`, bytes: 100_000 }],
    pieceLength: 16_384,
    peers: [
      ...someone('dht', 10, { via: ['dht'] }),
      ...someone('tracker', 10, { via: ['tracker', 'udp-tracker'] }),
      ...someone('pex', 10, { via: ['pex'] }),
    ],
  }))
  return simulate(oneTorrent([], {}, { dhtNodes: 60, torrents }), async ({ sim, open }) => {
    // Fewer places than peers, so that the torrents have to share them.
    const rig = await open({ profile: { ...profiles.lab, sessions: 40 } })
    const { reports, events } = await rig.map(sim.torrents.map(({ magnet }) => magnet))
    for (const [index, torrent] of sim.torrents.entries()) {
      expect(keysOf(reports[index]?.peers ?? [])).toEqual(torrent.truth)
      expect(reports[index]?.counts.byEvidence, torrent.spec.name).toEqual({ 'role-known': 30 })
      expect(reports[index]?.metadata?.name).toBe(torrent.spec.name)
    }
    expect(sim.counters.peerConnections).toBe(900)
    expect(sim.counters.peerConnectionsPeak).toBeLessThanOrEqual(40)
    for (const type of ['swarm-started', 'swarm-ended'] as const) {
      expect(new Set(ofType(events, type).map(({ torrent }) => torrent)).size).toBe(30)
    }
    expect(ofType(events, 'bootstrapped')).toHaveLength(1)
    // The first naming of a peer says how many are known now.
    const totals = ofType(events, 'peer').filter(({ torrent }) => torrent === reports[0]?.infoHash)
    expect(totals.map(({ total }) => total)).toEqual(Array.from({ length: 30 }, (_, known) => known + 1))
    expect(rig.complaints).toEqual([])
    await rig.mapper.close()
    expect(sim.counters.trackerStopped * 2).toBe(sim.counters.trackerAnnounces)
  })
})

test('dials over the rate wait and are tried again: none is lost, and the rate holds', () =>
  simulate(
    oneTorrent(someone('peer', 60, { via: ['tracker'] }), {}, { dhtNodes: 0, udpTracker: false }),
    async ({ torrent, time, network, open }) => {
      const rig = await open({ profile: { ...profiles.lab, newEndpointsPerMinute: 12 } })
      const { report, result } = await rig.map([torrent.magnet])
      expect(result.reason).toBe('nothing-new')
      expect(report.counts.byEvidence).toEqual({ 'role-known': 60 })
      // 61 contacts with the tracker's; at 12 a minute they take 5 minutes.
      expect(time.elapsedMs()).toBeGreaterThan(4 * 60_000)
      expect([...network.stats.connects.values()].reduce((sum, count) => sum + count, 0)).toBe(61)
      expect(rig.complaints).toEqual([])
    },
  ))

test('an abort while dials wait for the rate ends the round at once', () =>
  simulate(
    oneTorrent(someone('peer', 60, { via: ['tracker'] }), {}, { dhtNodes: 0, udpTracker: false }),
    async ({ torrent, time, open }) => {
      const rig = await open({ profile: { ...profiles.lab, newEndpointsPerMinute: 12 } })
      const { report, result } = await rig.map([torrent.magnet], { deadlineMs: 20_500 })
      expect(result.reason).toBe('deadline')
      expect(time.elapsedMs()).toBeLessThan(20_600)
      expect(report.counts.peers).toBe(60)
      expect(report.peers.filter(({ lastOutcome }) => lastOutcome === 'over-budget').length).toBeGreaterThan(40)
      expect(rig.complaints).toEqual([])
    },
  ))
