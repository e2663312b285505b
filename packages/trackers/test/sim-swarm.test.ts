/** Against the simulated swarm's trackers, written apart from this client. */
import { endpointKey, type InfoHash } from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { startSimSwarm } from '@swarmatlas/sim-swarm'
import { leakCheck } from '@swarmatlas/testkit'
import { expect, test } from 'vitest'
import { forever, harness } from './harness.ts'

test('each tracker gives the peers that it lists, its figures, and lets us go', async () => {
  await using _ = leakCheck()
  await using swarm = await startSimSwarm(
    { host: nodeHost() },
    {
      dhtNodes: 0,
      httpTracker: true,
      udpTracker: true,
      seed: 1,
      torrents: [
        {
          name: 'a',
          files: [{ path: 'a', bytes: 100_000 }],
          pieceLength: 16_384,
          peers: [
            { name: 'one', role: 'seed', via: ['tracker'] },
            { name: 'two', role: 'leech', via: ['tracker', 'udp-tracker'] },
            { name: 'three', role: 'leech', via: ['udp-tracker'] },
          ],
        },
      ],
    },
  )
  const torrent = swarm.torrents[0]
  const hash = torrent?.hashes.v1 as InfoHash
  const us = harness()
  for (const url of torrent?.trackers ?? []) {
    const via = url.startsWith('udp:') ? 'udp-tracker' : 'tracker'
    const truth = torrent?.peers.filter(({ spec }) => spec.via.includes(via)) ?? []
    const { report, observations } = await us.announce(url, hash)
    const seeds = truth.filter(({ spec }) => spec.role === 'seed').length
    expect(report).toMatchObject({ outcome: 'ok', peers: 2, seeds })
    expect(new Set(observations.map(({ peer }) => endpointKey(peer)))).toEqual(
      new Set(truth.map(({ endpoint }) => endpointKey(endpoint))),
    )
    expect((await us.client.scrape(url, [hash], { signal: forever() })).get(hash)).toMatchObject({
      outcome: 'ok',
      seeds,
    })
  }
  await us.client.close()
  expect(swarm.counters).toMatchObject({ trackerAnnounces: 4, trackerStopped: 2, trackerRefused: 0 })
})
