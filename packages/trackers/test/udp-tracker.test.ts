import { type InfoHash, limits } from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { createSimNetwork, leakCheck, withVirtualTime } from '@swarmatlas/testkit'
import { describe, expect, test } from 'vitest'
import {
  actions,
  error,
  events,
  fakeTracker,
  type Seen,
  simulated,
  TRACKER,
  TRACKER_URL,
  US,
} from './fake-udp-tracker.ts'
import { forever, harness, KEY, OTHER_SWARM, PEER_ID, PORT, SWARM } from './harness.ts'

describe('announce over UDP (BEP 15)', () => {
  test(
    'connects, announces, lists the peers, and takes the announce back',
    simulated(async ({ host, trackerHost }) => {
      const tracker = await fakeTracker(trackerHost)
      const { client, announce } = harness({ host })
      const { report, observations } = await announce(TRACKER_URL)
      expect(report).toEqual({ url: TRACKER_URL, outcome: 'ok', peers: 2, seeds: 2, leeches: 3, intervalS: 1_800 })
      expect(observations).toEqual([
        {
          atMs: expect.any(Number),
          swarm: SWARM,
          channel: 'tracker',
          teller: { kind: 'tracker', url: TRACKER_URL },
          peer: { address: '1.2.3.4', port: 6881 },
          flags: [],
        },
        expect.objectContaining({ peer: { address: '5.6.7.8', port: 1 }, flags: ['suspect-port'] }),
      ])
      const announced = tracker.seen[1]?.packet as Buffer
      expect(announced.subarray(0, 8).toString('hex')).toBe('c0ffee00c0ffee00')
      expect(announced.subarray(16, 36).toString('hex')).toBe(SWARM)
      expect(announced.subarray(36, 56)).toEqual(Buffer.from(PEER_ID))
      expect(announced.readBigUInt64BE(64)).toBe(1n)
      expect([announced.readUInt32BE(88), announced.readInt32BE(92), announced.readUInt16BE(96)]).toEqual([
        KEY,
        200,
        PORT,
      ])
      expect(announced.subarray(98).toString('latin1')).toBe('\x02\x09/announce\x00')
      await client.close()
      expect(actions(tracker)).toEqual([0, 1, 1])
      expect(events(tracker)).toEqual([2, 3])
      await expect(announce(TRACKER_URL)).rejects.toMatchObject({ code: 'ABORTED' })
    }),
  )

  test(
    'left is never 0: nobody takes us for a seed',
    simulated(async ({ host, trackerHost }) => {
      const tracker = await fakeTracker(trackerHost)
      await using us = harness({ host })
      await us.client.announce(TRACKER_URL, SWARM, { left: 0, signal: forever() })
      expect(tracker.seen[1]?.packet.readBigUInt64BE(64)).toBe(1n)
    }),
  )

  test(
    'two announces at once share one connect; the id is used for one minute',
    simulated(async ({ host, trackerHost, time }) => {
      const tracker = await fakeTracker(trackerHost)
      await using us = harness({ host })
      await Promise.all([us.announce(TRACKER_URL), us.announce(TRACKER_URL, OTHER_SWARM)])
      expect(actions(tracker)).toEqual([0, 1, 1])
      const later = (ms: number) => new Promise<void>((wake) => void time.clock.timer(ms, wake))
      await later(50_000)
      await us.client.scrape(TRACKER_URL, [SWARM], { signal: forever() })
      expect(actions(tracker)).toEqual([0, 1, 1, 2])
      await later(15_000)
      await us.client.scrape(TRACKER_URL, [SWARM], { signal: forever() })
      expect(actions(tracker)).toEqual([0, 1, 1, 2, 0, 2])
    }),
  )

  test(
    'a caller that gives up does not end the connect that another waits for',
    simulated(async ({ host, trackerHost }) => {
      await fakeTracker(trackerHost)
      await using us = harness({ host })
      const impatient = new AbortController()
      const first = us.client.announce(TRACKER_URL, SWARM, { left: 1, signal: impatient.signal })
      const second = us.announce(TRACKER_URL, OTHER_SWARM)
      host.clock.timer(1, () => impatient.abort(new Error('enough')))
      await expect(first).rejects.toThrow('enough')
      expect((await second).report.outcome).toBe('ok')
    }),
  )

  test(
    'a tracker that forgot the connection id is asked for a new one, once',
    simulated(async ({ host, trackerHost }) => {
      const tracker = await fakeTracker(trackerHost, {
        answer: ({ action, packet }) => (action === 2 ? error(packet, 'Connection ID missmatch.') : undefined),
      })
      await using us = harness({ host })
      await us.announce(TRACKER_URL)
      const reports = await us.client.scrape(TRACKER_URL, [SWARM], { signal: forever() })
      expect(reports.get(SWARM)).toMatchObject({ outcome: 'refused', detail: 'Connection ID missmatch.' })
      expect(actions(tracker)).toEqual([0, 1, 2, 0, 2])
    }),
  )

  test(
    'lost packets are sent again after 3, 6, 12 s',
    simulated(async ({ host, trackerHost }) => {
      const tracker = await fakeTracker(trackerHost, {
        answer: ({ action, count }) => (action === 0 && count < 4 ? null : undefined),
      })
      await using us = harness({ host })
      expect((await us.announce(TRACKER_URL)).report.outcome).toBe('ok')
      const connects = tracker.seen.filter(({ action }) => action === 0)
      const gaps = connects.slice(1).map(({ atMs }, i) => Math.round((atMs - (connects[i] as Seen).atMs) / 1000))
      expect(gaps).toEqual([3, 6, 12])
      const ids = new Set(connects.map(({ packet }) => packet.readUInt32BE(12)))
      expect(ids.size).toBe(1)
    }),
  )

  test(
    'a silent tracker is an outcome, and is owed no stopped',
    simulated(async ({ host, trackerHost }) => {
      const tracker = await fakeTracker(trackerHost, { answer: () => null })
      const { client, announce } = harness({ host })
      expect((await announce(TRACKER_URL)).report).toMatchObject({
        outcome: 'timeout',
        detail: 'no answer to 4 packets',
        peers: 0,
      })
      await client.close()
      expect(actions(tracker)).toEqual([0, 0, 0, 0])
    }),
  )

  test(
    'an announce whose reply is lost is taken back all the same',
    simulated(async ({ host, trackerHost }) => {
      const tracker = await fakeTracker(trackerHost, {
        answer: ({ action, packet }) => (action === 1 && packet.readUInt32BE(80) === 2 ? null : undefined),
      })
      const { client, announce } = harness({ host })
      expect((await announce(TRACKER_URL)).report.outcome).toBe('timeout')
      await client.close()
      expect(events(tracker)).toEqual([2, 2, 2, 2, 3])
    }),
  )

  test(
    'twenty announces all come through 10 % loss',
    simulated(
      async ({ host, trackerHost, network }) => {
        await fakeTracker(trackerHost)
        await using us = harness({ host })
        const swarms = Array.from({ length: 20 }, (_, i) => i.toString(16).padStart(40, '0') as InfoHash)
        const results = await Promise.all(swarms.map((swarm) => us.announce(TRACKER_URL, swarm)))
        expect(results.map(({ report }) => report.outcome)).toEqual(swarms.map(() => 'ok'))
        expect(network.stats.lost).toBeGreaterThan(0)
      },
      { lossShare: 0.1 },
    ),
  )

  test(
    'the second address is tried when the first cannot be reached',
    simulated(async ({ host, trackerHost, network }) => {
      network.names.set('tracker.example', ['10.0.0.9', TRACKER])
      await fakeTracker(trackerHost)
      await using us = harness({ host })
      expect((await us.announce('udp://tracker.example:6969')).report.outcome).toBe('ok')
      expect(network.stats.datagrams.get('10.0.0.9:6969')).toBe(2)
    }),
  )

  test(
    'a name that does not resolve',
    simulated(async ({ host }) => {
      await using us = harness({ host })
      const { report } = await us.announce('udp://nowhere.example:6969')
      expect(report).toMatchObject({ outcome: 'unreachable', detail: expect.stringContaining('nowhere.example') })
    }),
  )

  test('IPv4 and IPv6 are asked both (BEP 7); the figures are those of one', async () => {
    await withVirtualTime({ seed: 1 }, async () => {
      const network = createSimNetwork({ seed: 1 })
      const trackerHost = network.host([TRACKER, '2001:db8::2'])
      network.names.set('tracker.example', ['2001:db8::2', '2001:db8::3', TRACKER, '10.0.0.3'])
      await fakeTracker(trackerHost)
      await fakeTracker(trackerHost, { address: '2001:db8::2', peers: '20010db80000000000000000000000991ae1' })
      const { client, announce } = harness({ host: network.host([US, '2001:db8::1']) })
      const { report, observations } = await announce('udp://tracker.example:6969')
      expect(report).toMatchObject({ outcome: 'ok', peers: 3, seeds: 2, leeches: 3 })
      expect(observations.map(({ peer }) => peer.address).sort()).toEqual(['1.2.3.4', '2001:db8::99', '5.6.7.8'])
      await client.close()
      expect(network.stats.datagrams.get(`${TRACKER}:6969`)).toBe(3)
      expect(network.stats.datagrams.get('[2001:db8::2]:6969')).toBe(3)
      expect(network.stats.datagrams.get('10.0.0.3:6969')).toBeUndefined()
    })
  })

  test('a silent second family does not hold back the first', async () => {
    await withVirtualTime({ seed: 1 }, async ({ elapsedMs }) => {
      const network = createSimNetwork({ seed: 1 })
      network.names.set('tracker.example', ['2001:db8::2', TRACKER])
      await fakeTracker(network.host(TRACKER))
      const { announce } = harness({ host: network.host([US, '2001:db8::1']) })
      expect((await announce('udp://tracker.example:6969')).report.outcome).toBe('ok')
      expect(elapsedMs()).toBeLessThan(limits.trackerSecondFamilyMs + 1_000)
    })
  })
})

test(
  'a scrape is cut into packets of 74 hashes, and lists us nowhere',
  simulated(async ({ host, trackerHost }) => {
    const tracker = await fakeTracker(trackerHost)
    const { client } = harness({ host })
    const swarms = Array.from({ length: 80 }, (_, i) => i.toString(16).padStart(40, '0') as InfoHash)
    const reports = await client.scrape(TRACKER_URL, swarms, { signal: forever() })
    expect([...reports.keys()]).toEqual(swarms)
    expect(reports.get(swarms[79] as InfoHash)).toEqual({
      url: TRACKER_URL,
      outcome: 'ok',
      peers: 0,
      seeds: 5,
      downloads: 6,
      leeches: 7,
    })
    await client.close()
    expect(tracker.seen.map(({ packet }) => packet.length)).toEqual([16, 16 + 74 * 20, 16 + 6 * 20])
  }),
)

test('on ::1, with real sockets, nothing is left behind', async () => {
  await using _ = leakCheck()
  const host = nodeHost()
  const tracker = await fakeTracker(host, { address: '::1', port: 0, peers: '20010db80000000000000000000000991ae1' })
  const { client, announce } = harness({ host })
  const { report, observations } = await announce(`udp://[::1]:${tracker.socket.local.port}/announce`)
  expect(report).toMatchObject({ outcome: 'ok', peers: 1 })
  expect(observations[0]?.peer).toEqual({ address: '2001:db8::99', port: 6881 })
  await client.close()
  expect(events(tracker)).toEqual([2, 3])
  await tracker.socket.close()
})
