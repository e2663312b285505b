import { endpointKey, limits, type Observation } from '@swarmatlas/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PeerGraph } from '../src/index.ts'
import {
  A,
  answered,
  B,
  byDht,
  byPex,
  byTracker,
  collect,
  end,
  ip,
  nodeId,
  openStore,
  round,
  startMs,
  visitTo,
} from './fixtures.ts'

const peer = '203.0.113.5:6881'

async function evidenceOf(graph: PeerGraph): Promise<string | undefined> {
  return (await collect(graph.peers({})))[0]?.evidence
}

describe('a round', () => {
  it('gives back who told of whom, when, how often, with which flags', async () => {
    const graph = await openStore()
    const writer = await graph.startRound(round)
    const pex = { prefersEncryption: false, seed: true, utp: true, holepunch: false, reachable: false }
    writer.observation(A, byPex('198.51.100.1:51413', peer, { atMs: startMs + 5, pex }))
    writer.observation(A, byPex('198.51.100.1:51413', peer, { atMs: startMs + 9, flags: ['dropped'] }))
    writer.observation(A, byDht('192.0.2.9:6881', '[2001:db8::7]:1', { flags: ['suspect-port'] }))
    writer.observation(A, byTracker('udp://t.example:1/announce', peer, { atMs: startMs + 2 }))
    writer.observation(A, { ...byPex(peer, peer), channel: 'magnet', teller: { kind: 'self' } })
    await writer.seal(end)
    const edges = await collect(graph.edges({}))
    const told = edges.map(({ tellerKind, tellerPseudonym, tellerPlace, peerPseudonym, peerPlace, ...edge }) => {
      const party = tellerKind === 'peer' || tellerKind === 'dht-node'
      expect([tellerKind, tellerPseudonym !== null]).toEqual([edge.teller.kind, party])
      expect([tellerPlace, peerPlace]).toEqual([null, null])
      expect(peerPseudonym).toMatch(/^[0-9a-f]{32}$/)
      return edge
    })
    expect(new Set(told)).toEqual(
      new Set([
        {
          torrent: A,
          teller: { kind: 'peer', endpoint: ip('198.51.100.1:51413') },
          peer: ip(peer),
          kind: 'connected',
          channel: 'pex',
          firstSeenMs: startMs + 5,
          lastSeenMs: startMs + 9,
          count: 2,
          flags: ['dropped'],
          pex,
        },
        {
          torrent: A,
          teller: { kind: 'dht-node', id: nodeId('7'), endpoint: ip('192.0.2.9:6881') },
          peer: ip('[2001:db8::7]:1'),
          kind: 'stored',
          channel: 'dht',
          firstSeenMs: startMs,
          lastSeenMs: startMs,
          count: 1,
          flags: ['suspect-port'],
          pex: null,
        },
        {
          torrent: A,
          teller: { kind: 'tracker', url: 'udp://t.example:1/announce' },
          peer: ip(peer),
          kind: 'listed',
          channel: 'tracker',
          firstSeenMs: startMs + 2,
          lastSeenMs: startMs + 2,
          count: 1,
          flags: [],
          pex: null,
        },
        {
          torrent: A,
          teller: { kind: 'self' },
          peer: ip(peer),
          kind: 'named',
          channel: 'magnet',
          firstSeenMs: startMs,
          lastSeenMs: startMs,
          count: 1,
          flags: [],
          pex: null,
        },
      ]),
    )
  })

  it('is summed up: times, reason, vantage, swarms, peers, observations', async () => {
    const graph = await openStore()
    const writer = await graph.startRound(round)
    writer.observation(A, byPex('198.51.100.1:1', peer))
    writer.observation(A, byPex('198.51.100.2:1', peer))
    writer.observation(B, byPex('198.51.100.1:1', peer, { swarm: B }))
    await writer.seal(end)
    await graph.startRound({ ...round, atMs: startMs + 90_000 })
    expect(await collect(graph.rounds())).toEqual([
      {
        number: 1,
        startedMs: startMs,
        endedMs: end.atMs,
        reason: 'nothing-new',
        vantage: 'test',
        command: 'swarmatlas map',
        swarms: 2,
        peers: 2,
        observations: 3,
      },
      expect.objectContaining({ number: 2, endedMs: null, reason: null, swarms: 0, peers: 0, observations: 0 }),
    ])
  })

  it('takes nothing more once sealed, and sealing twice is sealing once', async () => {
    const graph = await openStore()
    const writer = await graph.startRound(round)
    await Promise.all([writer.seal(end), writer.seal({ ...end, atMs: 5 })])
    expect(() => writer.observation(A, byPex('198.51.100.1:1', peer))).toThrow(/round 1 is sealed/)
    expect((await collect(graph.rounds()))[0]?.endedMs).toBe(end.atMs)
  })

  it('counts the same word again but holds it once, across flushes and reopenings', async () => {
    const graph = await openStore()
    const writer = await graph.startRound(round)
    for (let i = 0; i < 3; i++) {
      writer.observation(A, byPex('198.51.100.1:1', peer, { atMs: startMs + i }))
      writer.visit(A, visitTo(peer, answered))
      await writer.flush()
    }
    const edges = await collect(graph.edges({}))
    expect(edges).toHaveLength(1)
    expect(edges[0]).toMatchObject({ count: 3, firstSeenMs: startMs, lastSeenMs: startMs + 2 })
    const peers = await collect(graph.peers({}))
    expect(peers).toHaveLength(1)
    expect(peers[0]).toMatchObject({ tellers: 1, rounds: 1 })
  })

  it('is written every two seconds without anybody asking', async () => {
    const graph = await openStore()
    const writer = await graph.startRound(round)
    writer.observation(A, byPex('198.51.100.1:1', peer))
    graph.clock.advance(limits.storeFlushMs - 1)
    await writer.ready()
    expect(await collect(graph.peers({}))).toHaveLength(0)
    graph.clock.advance(1)
    // The next task of the store comes after the write that the timer began.
    await graph.startRound(round)
    expect(await collect(graph.peers({}))).toHaveLength(1)
    expect(graph.clock.pending).toBe(0)
  })

  it('is written when many facts wait, and makes collectors wait before the buffer overflows', async () => {
    const graph = await openStore()
    const writer = await graph.startRound(round)
    let given = 0
    for (; given < limits.storeBufferEntries; given++) {
      writer.observation(A, byPex('198.51.100.1:1', `10.${given >> 16}.${(given >> 8) & 255}.${given & 255}:9`))
    }
    await writer.ready()
    expect(await collect(graph.peers({}))).toHaveLength(given)
  })

  it('that a crash or close cut short keeps what came before', async () => {
    const first = await openStore()
    const writer = await first.startRound(round)
    writer.observation(A, byPex('198.51.100.1:1', peer))
    await first.close()
    await first.close()
    const again = await openStore({ dir: first.dir, create: false })
    expect(await collect(again.rounds())).toMatchObject([{ number: 1, endedMs: null, reason: null, peers: 1 }])
    expect(await collect(again.peers({ round: 'latest' }))).toHaveLength(1)
    expect((await again.startRound(round)).number).toBe(2)
  })
})

describe('a peer', () => {
  it('is one record over rounds: channels united, tellers counted once, first and last seen, last visit', async () => {
    const graph = await openStore()
    for (const [i, client] of ['Transmission 4.0', undefined].entries()) {
      const atMs = startMs + i * 7_200_000
      const writer = await graph.startRound({ ...round, atMs })
      writer.observation(A, byPex('198.51.100.1:1', peer, { atMs }))
      writer.observation(A, byDht(`192.0.2.${i}:1`, peer, { atMs: atMs + 1 }))
      const how = client === undefined ? {} : { ...answered, client, role: 'seed' as const, progress: 1 }
      writer.visit(A, visitTo(peer, { atMs: atMs + 2, ...how }))
      await writer.seal({ ...end, atMs: atMs + 10 })
    }
    const peers = await collect(graph.peers({}))
    expect(peers).toHaveLength(1)
    expect(peers[0]).toMatchObject({
      torrent: A,
      endpoint: ip(peer),
      channels: ['dht', 'pex'],
      tellers: 3,
      evidence: 'role-known',
      firstSeenMs: startMs,
      lastSeenMs: startMs + 7_200_001,
      flags: [],
      lastVisit: { outcome: 'timeout', atMs: startMs + 7_200_002, swarm: A },
      lastAnswer: { client: 'Transmission 4.0', role: 'seed', progress: 1, atMs: startMs + 2 },
      rounds: 2,
      swarms: [A],
    })
    const latest = await collect(graph.peers({ round: 'latest' }))
    expect(latest).toMatchObject([
      { tellers: 2, evidence: 'corroborated', firstSeenMs: startMs + 7_200_000, rounds: 1 },
    ])
    expect(await collect(graph.peers({ round: 1 }))).toMatchObject([{ evidence: 'role-known', rounds: 1 }])
    expect(await collect(graph.peers({ round: 3 }))).toEqual([])
    expect(await collect(graph.peers({ swarm: B }))).toEqual([])
  })

  it.each<[string, string, Observation[]]>([
    ['hearsay', 'one teller', [byPex('198.51.100.1:1', peer)]],
    ['hearsay', 'two tellers of one /24', [byPex('198.51.100.1:1', peer), byPex('198.51.100.2:1', peer)]],
    ['corroborated', 'two tellers in different /24s', [byPex('198.51.100.1:1', peer), byPex('203.0.113.1:1', peer)]],
    ['hearsay', 'two DHT nodes of one lookup', [byDht('198.51.100.1:1', peer), byDht('203.0.113.1:1', peer)]],
    ['corroborated', 'two channels', [byDht('198.51.100.1:1', peer), byPex('198.51.100.1:1', peer)]],
    ['corroborated', 'two trackers', [byTracker('udp://a.example:1', peer), byTracker('udp://b.example:1', peer)]],
    ['hearsay', 'one tracker twice', [byTracker('udp://a.example:1', peer), byTracker('udp://a.example:1/x', peer)]],
  ])('is %s by the word of %s', async (evidence, _, said) => {
    const graph = await openStore()
    const writer = await graph.startRound(round)
    for (const observation of said) writer.observation(A, observation)
    await writer.flush()
    expect(await evidenceOf(graph)).toBe(evidence)
  })

  it('is corroborated by a second channel behind a crowd of tellers of the first', async () => {
    const graph = await openStore()
    const writer = await graph.startRound(round)
    for (let i = 0; i < limits.tellersPerPeer + 1; i++) writer.observation(A, byDht(`198.51.100.${i}:1`, peer))
    writer.observation(A, byPex('198.51.100.1:1', peer))
    await writer.flush()
    expect(await collect(graph.peers({}))).toMatchObject([
      { evidence: 'corroborated', tellers: limits.tellersPerPeer + 2 },
    ])
  })

  it.each([
    ['reachable', { outcome: 'reset', opened: true } as const],
    ['handshaken', answered],
    ['role-known', { ...answered, role: 'leech' } as const],
    ['refuted', { outcome: 'bad-message', opened: true, refuted: true } as const],
    ['hearsay', {}],
  ])('is %s after such a visit, over reopening', async (evidence, outcome) => {
    const graph = await openStore()
    const writer = await graph.startRound(round)
    writer.observation(A, byPex('198.51.100.1:1', peer))
    writer.visit(A, visitTo(peer, outcome))
    await graph.close()
    expect(await evidenceOf(await openStore({ dir: graph.dir, create: false }))).toBe(evidence)
  })

  it('of two torrents is a record of each, with one and the same number of peers in all', async () => {
    const graph = await openStore()
    const writer = await graph.startRound(round)
    for (const swarm of [A, B]) writer.observation(swarm, byPex('198.51.100.1:1', peer, { swarm }))
    await writer.seal(end)
    expect((await collect(graph.peers({}))).map(({ torrent }) => torrent)).toEqual([A, B])
    expect((await collect(graph.peers({ swarm: B }))).map(({ torrent }) => torrent)).toEqual([B])
  })

  it('comes out as a plain model would say, for any observations over any rounds', async () => {
    const graph = await openStore()
    const one = fc.record({
      round: fc.nat({ max: 4 }),
      swarm: fc.constantFrom(A, B),
      teller: fc.nat({ max: 3 }),
      peer: fc.nat({ max: 5 }),
      dht: fc.boolean(),
      after: fc.nat({ max: 1_000 }),
    })
    const [said] = fc.sample(fc.array(one, { minLength: 300, maxLength: 300 }), { numRuns: 1, seed: 7 })
    const model = new Map<string, { channels: Set<string>; tellers: Set<string>; rounds: Set<number>; last: number }>()
    for (let number = 0; number < 5; number++) {
      const writer = await graph.startRound(round)
      for (const { round: of, swarm, teller, peer, dht, after } of said ?? []) {
        if (of !== number) continue
        const to = `203.0.113.${peer}:1`
        const from = `198.51.100.${teller}:1`
        writer.observation(swarm, (dht ? byDht : byPex)(from, to, { swarm, atMs: startMs + after }))
        const key = `${swarm} ${to}`
        const known = model.get(key) ?? { channels: new Set(), tellers: new Set(), rounds: new Set(), last: 0 }
        known.channels.add(dht ? 'dht' : 'pex')
        known.tellers.add(`${dht} ${from}`)
        known.rounds.add(number)
        known.last = Math.max(known.last, startMs + after)
        model.set(key, known)
        if (after % 50 === 0) await writer.flush()
      }
      await writer.seal(end)
    }
    const found = await collect(graph.peers({}))
    expect(found).toHaveLength(model.size)
    for (const { torrent, endpoint, channels, tellers, rounds, lastSeenMs } of found) {
      const expected = model.get(`${torrent} ${endpointKey(endpoint)}`)
      expect(new Set(channels)).toEqual(expected?.channels)
      expect([tellers, rounds, lastSeenMs]).toEqual([expected?.tellers.size, expected?.rounds.size, expected?.last])
    }
  })

  it('is read from a snapshot: what is written meanwhile does not show', async () => {
    const graph = await openStore()
    const writer = await graph.startRound(round)
    writer.observation(A, byPex('198.51.100.1:1', '203.0.113.1:1'))
    await writer.flush()
    const reading = graph.peers({})
    const first = await reading.next()
    writer.observation(A, byPex('198.51.100.1:1', '203.0.113.2:1'))
    await writer.flush()
    expect(first.done).toBe(false)
    expect((await reading.next()).done).toBe(true)
    expect(await collect(graph.peers({}))).toHaveLength(2)
  })
})
