/** Peers that give false metadata, or none. */
import { describe, expect, test } from 'vitest'
import { keysOf, ofType, oneTorrent, someone } from './rig.ts'
import { simulate } from './simulated.ts'

test('liars beside honest peers: the right metadata, each lie told of, and the round goes on', () =>
  simulate(
    oneTorrent([
      ...someone('liar', 12, { via: ['dht'], metadata: 'false' }),
      ...someone('honest', 3, { via: ['pex'], pexConnected: ['liar-0', 'liar-5', 'liar-9'] }),
    ]),
    async ({ torrent, open }) => {
      const rig = await open()
      const { report, events } = await rig.map([torrent.magnet])
      expect(report.metadata).toMatchObject({ name: 'one', totalBytes: 100_000 })
      const honest = torrent.peers.filter(({ spec }) => spec.name.startsWith('honest')).map(({ endpoint }) => endpoint)
      expect([...keysOf(honest)]).toContain(report.metadata?.from)
      const rejected = ofType(events, 'metadata-rejected')
      expect(rejected.length).toBeGreaterThan(0)
      expect(new Set(rejected.map(({ problem }) => problem))).toEqual(new Set(['the hash does not match']))
      for (const { from } of rejected) expect(keysOf(honest)).not.toContain(`${from.address}:${from.port}`)
      expect(keysOf(report.peers)).toEqual(torrent.truth)
      expect(rig.complaints).toEqual([])
    },
  ))

test.each(['quick', 'thorough'] as const)(
  'many who offer metadata and never send it do not hold up one who does (%s)',
  (depth) =>
    simulate(
      oneTorrent([
        ...someone('miser', 30, { via: ['dht'], metadata: 'withheld' }),
        ...someone('honest', 1, { via: ['tracker'] }),
      ]),
      async ({ torrent, open }) => {
        const rig = await open({ stayMs: 15_000, depth })
        const { report } = await rig.map([torrent.magnet])
        expect(report.metadata?.name).toBe('one')
        expect(report.counts.byEvidence).toEqual({ 'role-known': 31 })
      },
    ),
)

describe('nobody has it', () => {
  test('the report says that somebody lied', () =>
    simulate(oneTorrent(someone('liar', 3, { via: ['dht'], metadata: 'false' })), async ({ torrent, open }) => {
      const rig = await open()
      const { report, events } = await rig.map([torrent.magnet])
      expect(report.metadata).toBeNull()
      expect(report.metadataError).toEqual({ code: 'bad-metadata', message: 'the hash does not match' })
      expect(ofType(events, 'metadata-rejected')).toHaveLength(3)
    }))

  test('or that nobody gave it in time', () =>
    simulate(oneTorrent(someone('miser', 3, { via: ['dht'], metadata: 'withheld' })), async ({ torrent, open }) => {
      const rig = await open()
      const { report } = await rig.map([torrent.magnet])
      expect(report.metadataError).toMatchObject({ code: 'nobody-had-it' })
      expect(report.counts.byEvidence).toEqual({ 'role-known': 3 })
    }))
})
