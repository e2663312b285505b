import { type Host, limits, profiles } from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { describe, expect, test } from 'vitest'
import { byTheBook, error, events, fakeTracker, PEERS4, simulated, TRACKER, TRACKER_URL } from './fake-udp-tracker.ts'
import { forever, harness, SWARM } from './harness.ts'

describe('hostile and broken replies', () => {
  test(
    'from another address, from another port, or with another transaction id: not heard',
    simulated(async ({ host, trackerHost, network }) => {
      const forger = await network.host('10.0.0.66').udp.open({ family: 4, port: 6969, onMessage() {}, onError() {} })
      const otherPort = await trackerHost.udp.open({ family: 4, port: 7000, onMessage() {}, onError() {} })
      await fakeTracker(trackerHost, {
        answer: ({ action, count, packet }, from) => {
          if (action !== 1 || count > 1) return undefined
          const forged = byTheBook(packet, '09090909 1ae1'.replace(' ', ''))
          forger.send(forged, from)
          otherPort.send(forged, from)
          const wrongId = Buffer.from(forged)
          wrongId.writeUInt32BE((forged.readUInt32BE(4) ^ 1) >>> 0, 4)
          return wrongId
        },
      })
      await using us = harness({ host })
      const { observations } = await us.announce(TRACKER_URL)
      expect(observations.map(({ peer }) => peer.address)).toEqual(['1.2.3.4', '5.6.7.8'])
      expect(us.counts.get('trackers.udp.unasked')).toBe(3)
    }),
  )

  test(
    "an error is the tracker's refusal, its words made fit to print, and is owed no stopped",
    simulated(async ({ host, trackerHost }) => {
      const tracker = await fakeTracker(trackerHost, {
        answer: ({ action, packet }) => (action === 1 ? error(packet, '\u001b[31mgo away\n') : undefined),
      })
      const { client, announce } = harness({ host })
      expect((await announce(TRACKER_URL)).report).toMatchObject({ outcome: 'refused', detail: '\ufffd[31mgo away' })
      await client.close()
      expect(events(tracker)).toEqual([2])
    }),
  )

  test.each<[string, string, (packet: Buffer) => Buffer]>([
    [
      'another action',
      'answered action 1 with action 2',
      (p) => Buffer.concat([Buffer.from([0, 0, 0, 2]), p.subarray(12, 16), Buffer.alloc(12)]),
    ],
    [
      'a short announce',
      'its reply to action 1 is too short',
      (p) => Buffer.concat([p.subarray(8, 16), Buffer.alloc(5)]),
    ],
  ])('%s', (_, detail, reply) =>
    simulated(async ({ host, trackerHost }) => {
      await fakeTracker(trackerHost, { answer: ({ action, packet }) => (action === 1 ? reply(packet) : undefined) })
      await using us = harness({ host })
      expect((await us.announce(TRACKER_URL)).report).toMatchObject({ outcome: 'bad-message', detail })
    })(),
  )

  test(
    'runts and packets over the limit are dropped and counted',
    simulated(async ({ host, trackerHost }) => {
      await fakeTracker(trackerHost, {
        answer: ({ action, count, packet }) => {
          if (action !== 1 || count > 2) return undefined
          return count === 1
            ? Buffer.alloc(3)
            : Buffer.concat([byTheBook(packet, PEERS4), Buffer.alloc(limits.trackerUdpPacketBytes)])
        },
      })
      await using us = harness({ host })
      expect((await us.announce(TRACKER_URL)).report).toMatchObject({ outcome: 'ok', peers: 2 })
      expect(us.counts.get('trackers.udp.oversized')).toBe(1)
      expect(us.counts.get('trackers.udp.unasked')).toBe(1)
    }),
  )

  test(
    'an address that the policy forbids gets no packet',
    simulated(async ({ host, trackerHost, network }) => {
      await fakeTracker(trackerHost)
      const { client, announce } = harness({ host, policy: { allowPrivate: false, profile: profiles.server } })
      const { report } = await announce(TRACKER_URL)
      expect(report).toMatchObject({ outcome: 'forbidden', detail: expect.stringContaining(`${TRACKER}:6969`) })
      await client.close()
      expect(network.stats.datagrams.size).toBe(0)
    }),
  )

  test.each(['wss://tracker.example/announce', 'ws://tracker.example'])('%s is not asked', async (url) => {
    await using us = harness()
    expect((await us.announce(url)).report).toMatchObject({
      outcome: 'forbidden',
      detail: 'WebRTC trackers list no reachable peers and are not asked',
    })
    expect([...(await us.client.scrape(url, [SWARM], { signal: forever() })).values()]).toMatchObject([
      { outcome: 'forbidden' },
    ])
  })
})

test.each<[string, Partial<Host['udp']>]>([
  ['no socket can be opened', { open: () => Promise.reject(new Error('no IPv4 here')) }],
  [
    'sending throws',
    {
      open: async (options) => ({
        ...(await nodeHost().udp.open(options)),
        send() {
          throw new Error('no IPv4 here')
        },
      }),
    },
  ],
])('%s: an outcome', async (_, udp) => {
  const host = nodeHost()
  await using us = harness({ host: { ...host, udp: { ...host.udp, ...udp } } })
  expect((await us.announce('udp://127.0.0.1:6969')).report).toMatchObject({
    outcome: 'unreachable',
    detail: 'no IPv4 here',
  })
})
