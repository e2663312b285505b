import type { InfoHash, InfoHashV2 } from '@swarmatlas/core'
import { describe, expect, it } from 'vitest'
import {
  A,
  answered,
  B,
  byPex,
  collect,
  end,
  hash,
  info,
  ip,
  openStore,
  record,
  round,
  startMs,
  visitTo,
} from './fixtures.ts'

const peer = '203.0.113.5:6881'

describe('a torrent', () => {
  const v2 = 'c'.repeat(64) as InfoHashV2
  const wire2 = hash('c')

  it('is found by any of its wire hashes, with name, files and the last report of each tracker', async () => {
    const graph = await openStore()
    const writer = await graph.startRound(round)
    const hybrid = { v1: A, v2 }
    writer.torrent(record())
    writer.tracker(A, { url: 'http://t.example/announce', outcome: 'timeout', peers: 0 })
    await writer.flush()
    graph.clock.advance(1_000)
    writer.torrent(record({ metadata: info(hybrid), metadataFrom: ip(peer) }))
    const detail = 'you are 192.0.2.77:6881, banned; 2001:db8::9 too.'
    writer.tracker(A, { url: 'http://t.example/announce', outcome: 'ok', peers: 3, seeds: 2, leeches: 1, detail })
    writer.torrent(record())
    await writer.seal(end)
    const found = await graph.torrent(wire2)
    expect(found).toEqual(await graph.torrent(A))
    expect(found).toEqual({
      hashes: hybrid,
      wireHashes: [A, wire2],
      target: `magnet:?xt=urn:btih:${A}`,
      metadata: info(hybrid),
      metadataFrom: ip(peer),
      trackers: [
        {
          url: 'http://t.example/announce',
          outcome: 'ok',
          peers: 3,
          seeds: 2,
          leeches: 1,
          detail: 'you are …, banned; … too.',
          atMs: startMs + 1_000,
          round: 1,
        },
      ],
    })
    expect(await graph.torrent(B)).toBeUndefined()
  })

  it('with two wire hashes is one torrent: a peer of both swarms is one peer', async () => {
    const graph = await openStore()
    const writer = await graph.startRound(round)
    writer.torrent(record({ hashes: { v1: A, v2 } }))
    writer.observation(A, byPex('198.51.100.1:1', peer))
    writer.observation(A, byPex('198.51.100.1:1', peer, { swarm: wire2 }))
    writer.observation(A, byPex('198.51.100.1:1', '203.0.113.6:1', { swarm: wire2 }))
    await writer.seal(end)
    const peers = await collect(graph.peers({ swarm: wire2 }))
    expect(peers).toMatchObject([
      { torrent: A, endpoint: ip(peer), swarms: [A, wire2], tellers: 1 },
      { torrent: A, endpoint: ip('203.0.113.6:1'), swarms: [wire2] },
    ])
    expect(await collect(graph.rounds())).toMatchObject([{ swarms: 1, peers: 2, observations: 3 }])
  })

  it('that was two in earlier rounds becomes one when its metadata names both hashes', async () => {
    const graph = await openStore()
    const first = await graph.startRound(round)
    first.torrent(record())
    first.torrent(record({ hashes: { v1: undefined, v2 } }))
    first.observation(A, byPex('198.51.100.1:1', peer))
    first.observation(wire2, byPex('203.0.113.9:1', peer, { swarm: wire2 }))
    await first.seal(end)
    expect(await collect(graph.swarms())).toHaveLength(2)
    const second = await graph.startRound(round)
    second.torrent(record({ metadata: info({ v1: A, v2 }) }))
    await second.seal(end)
    expect(await collect(graph.swarms())).toMatchObject([{ infoHash: A, infoHashV2: v2, peers: 1, rounds: 1 }])
    expect(await collect(graph.peers({ swarm: wire2 }))).toMatchObject([{ evidence: 'corroborated', tellers: 2 }])
  })

  it('is summed up: size, files, distinct peers of all rounds, and what its last round found', async () => {
    const graph = await openStore()
    for (let number = 1; number <= 2; number++) {
      const writer = await graph.startRound(round)
      writer.torrent(record({ metadata: info({ v1: A, v2: undefined }) }))
      for (let i = number; i < number + 3; i++) {
        writer.observation(A, byPex('198.51.100.1:1', `203.0.113.${i}:1`, { atMs: startMs + number }))
      }
      writer.visit(A, visitTo(`203.0.113.${number}:1`, { ...answered, role: 'seed' }))
      writer.visit(A, visitTo(`203.0.113.${number + 1}:1`, { ...answered, role: 'leech' }))
      await writer.seal(end)
    }
    const later = await graph.startRound(round)
    later.torrent(record({ hashes: { v1: B, v2: undefined } }))
    await later.seal(end)
    expect(await collect(graph.swarms())).toEqual([
      {
        infoHash: A,
        infoHashV2: null,
        name: '実験',
        totalBytes: 3,
        files: 2,
        private: false,
        firstSeenMs: startMs + 1,
        lastSeenMs: startMs + 1_000,
        rounds: 2,
        peers: 4,
        latest: {
          round: 2,
          peers: 3,
          byEvidence: { hearsay: 1, corroborated: 0, reachable: 0, handshaken: 0, 'role-known': 2, refuted: 0 },
          seeds: 1,
          leeches: 1,
        },
      },
      expect.objectContaining({ infoHash: B, name: null, peers: 0, rounds: 0, firstSeenMs: null, latest: null }),
    ])
  })

  it('that was never put is listed by the hash it was met under', async () => {
    const graph = await openStore()
    const writer = await graph.startRound(round)
    writer.observation(B, byPex('198.51.100.1:1', peer, { swarm: B as InfoHash }))
    await writer.seal(end)
    expect(await collect(graph.swarms())).toMatchObject([{ infoHash: B, peers: 1 }])
    expect(await graph.torrent(B)).toMatchObject({ hashes: { v1: B }, metadata: null })
  })
})
