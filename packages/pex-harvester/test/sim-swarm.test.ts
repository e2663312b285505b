/** Visits to all peers of simulated swarms, compared with the truth. */
import {
  countingMeter,
  createAddressPolicy,
  createGate,
  endpointKey,
  profiles,
  silentLogger,
  sleep,
  type Visit,
  wireHashes,
} from '@swarmatlas/core'
import { demoSwarmOptions, type SimSwarmOptions, startSimSwarm } from '@swarmatlas/sim-swarm'
import { createSimNetwork, leakCheck, withVirtualTime } from '@swarmatlas/testkit'
import { expect, test } from 'vitest'
import { createHarvester } from '../src/index.ts'
import { OUR_ID } from './support/visit.ts'

async function mapAll(options: SimSwarmOptions, segmentBytes?: number): Promise<void> {
  await using _ = leakCheck()
  await withVirtualTime({ seed: 1 }, async () => {
    const net = createSimNetwork({ seed: 1, ...(segmentBytes === undefined ? {} : { segmentBytes }) })
    await using swarm = await startSimSwarm({ host: net.host('198.51.100.1') }, { address: '198.51.100.1', ...options })
    const host = net.host('198.51.100.2')
    const policy = createAddressPolicy(host, { profile: profiles.lab, allowPrivate: true })
    const meter = countingMeter()
    const gate = createGate({ host, policy, meter })
    const harvester = createHarvester(
      { ...host, gate, logger: silentLogger, meter },
      { peerId: OUR_ID, clientName: 'Swarmatlas 0.1.0' },
    )
    for (const torrent of swarm.torrents) {
      for (const hash of wireHashes(torrent.hashes)) {
        let metadata: Uint8Array | undefined
        await Promise.all(
          torrent.peers.map(async (peer) => {
            const named = new Set<string>()
            const stream = harvester.visit(peer.endpoint, {
              swarm: hash,
              signal: new AbortController().signal,
              claim: { channels: 1 },
              stayMs: 15_000,
              private: () => torrent.info.private,
              wantsMetadata: () => metadata === undefined,
              pieceCount: () => (metadata === undefined ? undefined : torrent.info.pieceCount),
            })
            let visit: Visit | undefined
            while (visit === undefined) {
              const step = await stream.next()
              if (step.done) visit = step.value
              else if (step.value.type === 'metadata') metadata = step.value.bytes
              else if (step.value.type === 'observation') named.add(endpointKey(step.value.observation.peer))
            }
            const { spec } = peer
            if (!peer.alive) expect(visit).toMatchObject({ outcome: 'refused', opened: false })
            else if (spec.silent) expect(visit).toMatchObject({ outcome: 'timeout', opened: true, handshaken: false })
            else {
              const { role, client = visit.client, name } = spec
              expect({ name, ...visit }).toMatchObject({ name, outcome: 'ok', role, client, peerId: peer.peerId })
              expect(visit.client).toBeTruthy()
              expect(visit.progress).toBeCloseTo(peer.progress)
              expect(named).toEqual(torrent.info.private ? new Set() : peer.connectedTo)
            }
          }),
        )
        expect(Buffer.from(metadata ?? []).equals(torrent.infoBytes)).toBe(true)
      }
    }
    // The last goodbyes are on their way.
    await sleep(host.clock, 1_000)
    expect(swarm.counters).toMatchObject({
      interestedReceived: 0,
      pieceRequestsReceived: 0,
      pieceClaimsReceived: 0,
      pexReceived: 0,
      peerRejected: 0,
      peerConnectionsOpen: 0,
    })
    expect(meter.counts.get('session.exceptions')).toBeUndefined()
  })
}

test('the demo swarm: roles, clients, PEX and metadata are the truth', async () => {
  await mapAll(demoSwarmOptions())
})

test('the same when every segment carries 100 bytes', async () => {
  await mapAll(demoSwarmOptions(), 100)
})

test('v2, hybrid and private torrents, peers that listen and say nothing', async () => {
  const peers = [
    { name: 'seed', role: 'seed', via: ['tracker'] },
    { name: 'leech', role: 'leech', progress: 0.5, via: ['tracker'], client: 'aria2/1.36.0' },
    { name: 'partial', role: 'partial', via: ['tracker'] },
    { name: 'silent', role: 'leech', via: ['tracker'], silent: true },
  ] as const
  const files = [{ path: 'a/b.bin', bytes: 3_000_000 }]
  const common = { files, pieceLength: 16_384, peers }
  await mapAll({
    dhtNodes: 0,
    httpTracker: true,
    seed: 3,
    torrents: [
      { ...common, name: 'v2', version: 'v2' },
      { ...common, name: 'hybrid', version: 'hybrid' },
      { ...common, name: 'private', private: true },
    ],
  })
})
