import { type Endpoint, parseEndpoint } from '@swarmatlas/core'
import { createSimNetwork, getPeers, leakCheck, withVirtualTime } from '@swarmatlas/testkit'
import { expect, test } from 'vitest'
import { startSimSwarm } from '../src/index.ts'
import { handshake } from './handshake.ts'

test('a simulated swarm on the simulated network answers a DHT lookup and a handshake', async () => {
  await using _ = leakCheck()
  await withVirtualTime({ seed: 5 }, async () => {
    const network = createSimNetwork({ seed: 5, delayMs: [5, 150], segmentBytes: 7 })
    await using swarm = await startSimSwarm(
      { host: network.host(['10.0.0.1', '10.0.0.0/8']) },
      {
        address: '10.0.0.1',
        dhtNodes: 12,
        seed: 5,
        torrents: [
          {
            name: 'sample',
            files: [{ path: 'sample.bin', bytes: 100_000 }],
            pieceLength: 16_384,
            peers: [
              { name: 'seed', address: '10.1.0.1', role: 'seed', via: ['dht'] },
              { name: 'leech', address: '10.2.0.1', role: 'leech', progress: 0.5, via: ['dht'] },
            ],
          },
        ],
      },
    )
    const mapper = network.host('203.0.113.1')
    const torrent = swarm.torrents[0]
    const hash = torrent?.hashes.v1
    if (torrent === undefined || hash === undefined) throw new Error('no torrent')

    expect(torrent.truth.size).toBe(2)
    expect(await getPeers(mapper, swarm.bootstrap.slice(0, 2), hash)).toEqual(torrent.truth)
    for (const peer of torrent.truth) {
      expect(await handshake(mapper, parseEndpoint(peer) as Endpoint, hash)).toBe(hash)
    }
    expect(new Set(network.stats.connects.keys())).toEqual(torrent.truth)
  })
})
