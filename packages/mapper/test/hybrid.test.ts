/** Hybrids (BEP 52): one torrent, two swarms. */
import { type InfoHash, truncatedV2 } from '@swarmatlas/core'
import { expect, test } from 'vitest'
import { endpointsOf, keysOf, noticesOf, ofType, oneTorrent, someone } from './rig.ts'
import { simulate } from './simulated.ts'

const halves = [
  ...someone('both', 6, { via: ['dht', 'tracker'] }),
  ...someone('one', 4, { via: ['dht'], swarm: 'v1' as const }),
  ...someone('two', 4, { via: ['tracker'], swarm: 'v2' as const }),
]
const options = oneTorrent(halves, { version: 'hybrid' }, { udpTracker: false })

test('a hybrid is asked for under both hashes, reported once, and nobody dialled twice', () =>
  simulate(options, async ({ sim, torrent, open }) => {
    const rig = await open()
    const { report, reports, events } = await rig.map([torrent.magnet])
    expect(reports).toHaveLength(1)
    expect(keysOf(report.peers)).toEqual(torrent.truth)
    expect(report.counts.byEvidence).toEqual({ 'role-known': 14 })
    expect(report).toMatchObject({ infoHash: torrent.hashes.v1, infoHashV2: torrent.hashes.v2 })
    expect(sim.counters.peerConnections).toBe(14)
    const v2 = truncatedV2(torrent.hashes.v2 as NonNullable<typeof torrent.hashes.v2>)
    expect(new Set(ofType(events, 'lookup').map(({ swarm }) => swarm))).toEqual(new Set([torrent.hashes.v1, v2]))
    expect(sim.counters.trackerAnnounces).toBe(2)
    expect(noticesOf(events)).toEqual([])
  }))

test.each(['v1', 'v2'] as const)('a magnet with the %s hash alone opens the other swarm with the metadata', (half) =>
  simulate(options, async ({ sim, torrent, open }) => {
    const { v1, v2 } = torrent.hashes
    const rig = await open()
    const topic = half === 'v1' ? `btih:${v1}` : `btmh:1220${v2}`
    const tracker = encodeURIComponent(torrent.trackers[0] as string)
    const { report, events } = await rig.map([`magnet:?xt=urn:${topic}&tr=${tracker}`])
    expect(keysOf(report.peers)).toEqual(torrent.truth)
    expect(report.counts.byEvidence).toEqual({ 'role-known': 14 })
    expect(report.infoHash).toBe(half === 'v1' ? v1 : v2?.slice(0, 40))
    expect(report.infoHashV2).toBe(v2)
    expect(noticesOf(events)).toEqual(['hybrid'])
    expect(sim.counters.peerConnections).toBe(14)
  }),
)

test('a v2-only torrent', () =>
  simulate(
    oneTorrent(someone('peer', 9, { via: ['dht', 'udp-tracker'] }), { version: 'v2' }),
    async ({ torrent, open }) => {
      const rig = await open()
      const { report, events } = await rig.map([torrent.magnet])
      expect(keysOf(report.peers)).toEqual(endpointsOf(torrent))
      expect(report.counts.byEvidence).toEqual({ 'role-known': 9 })
      expect(report.infoHash).toBe(torrent.hashes.v2?.slice(0, 40) as InfoHash)
      expect(report.metadata?.name).toBe('one')
      expect(noticesOf(events)).toEqual([])
    },
  ))

test('a magnet that names two different torrents says so', () =>
  simulate(options, async ({ torrent, open }) => {
    const rig = await open()
    const { report, events } = await rig.map([
      `magnet:?xt=urn:btih:${torrent.hashes.v1}&xt=urn:btmh:1220${'ab'.repeat(32)}`,
    ])
    expect(report.metadata?.name).toBe('one')
    expect(noticesOf(events)).toContain('hash-mismatch')
  }))
