import { endpointKey } from '@swarmatlas/core'
import { describe, expect, it } from 'vitest'
import { A, answered, B, byPex, byTracker, collect, end, ip, openStore, round, startMs, visitTo } from './fixtures.ts'
import { peerAt, placeOf, tellerAt, writeRounds } from './loads.ts'

async function twoRounds() {
  const graph = await openStore()
  const rounds = [
    ['203.0.113.1:1', '203.0.113.2:1', '203.0.113.3:1'],
    ['203.0.113.2:1', '203.0.113.3:1', '203.0.113.4:1', '203.0.113.5:1'],
  ]
  for (const [number, peers] of rounds.entries()) {
    const atMs = startMs + number * 7_200_000
    const writer = await graph.startRound({ ...round, atMs })
    for (const peer of peers) writer.observation(A, byPex(tellerAt(1), peer, { atMs }))
    if (number === 0) writer.observation(B, byPex(tellerAt(1), '203.0.113.4:1', { swarm: B, atMs }))
    await writer.seal({ ...end, atMs: atMs + 60_000, placeOf })
  }
  return graph
}

const named = async (source: AsyncIterable<{ endpoint: Parameters<typeof endpointKey>[0] | null }>) =>
  new Set((await collect(source)).map(({ endpoint }) => endpoint && endpointKey(endpoint)))

describe('questions', () => {
  it('about two rounds: who is first seen, no longer seen, stayed', async () => {
    const graph = await twoRounds()
    expect(await collect(graph.difference(1, 2))).toEqual([
      { torrent: A, firstSeen: 2, noLongerSeen: 1, stayed: 2 },
      { torrent: B, firstSeen: 0, noLongerSeen: 1, stayed: 0 },
    ])
    const changes = await collect(graph.changes(1, 2, { swarm: A }))
    expect(new Set(changes.map(({ change, endpoint }) => `${change} ${endpoint?.address}`))).toEqual(
      new Set([
        'no longer seen 203.0.113.1',
        'stayed 203.0.113.2',
        'stayed 203.0.113.3',
        'first seen 203.0.113.4',
        'first seen 203.0.113.5',
      ]),
    )
    await expect(collect(graph.difference(1, 7))).rejects.toMatchObject({ code: 'BAD_OPTION' })
  })

  it('about two swarms: who is in both', async () => {
    const graph = await twoRounds()
    expect(await named(graph.shared(A, B))).toEqual(new Set(['203.0.113.4:1']))
    expect(await collect(graph.shared(B, A))).toMatchObject([{ place: { country: 'DE' } }])
  })

  it('about a swarm over time', async () => {
    const graph = await twoRounds()
    const writer = await graph.startRound({ ...round, atMs: startMs + 20_000_000 })
    writer.observation(A, byPex(tellerAt(1), peerAt(9)))
    writer.visit(A, visitTo(peerAt(9), { ...answered, role: 'seed' }))
    await writer.flush()
    expect(await collect(graph.series(A))).toMatchObject([
      { round: 1, peers: 3, seeds: 0, startedMs: startMs, endedMs: startMs + 60_000 },
      { round: 2, peers: 4, byEvidence: { hearsay: 4 } },
      { round: 3, peers: 1, seeds: 1, endedMs: null, byEvidence: { 'role-known': 1 } },
    ])
  })

  it.each([
    [{ country: 'fr' }, ['203.0.113.1:1', '203.0.113.3:1', '203.0.113.5:1']],
    [{ asn: 64_501 }, ['203.0.113.1:1', '203.0.113.5:1']],
    [{ cidr: '203.0.113.4/31' }, ['203.0.113.4:1', '203.0.113.5:1']],
    [{ cidr: '203.0.113.0/24', round: 1 }, ['203.0.113.1:1', '203.0.113.2:1', '203.0.113.3:1']],
    [{ cidr: '2001:db8::/32' }, []],
    [{ untilMs: startMs + 1 }, ['203.0.113.1:1', '203.0.113.2:1', '203.0.113.3:1']],
    [{ sinceMs: startMs + 7_200_000, country: 'DE' }, ['203.0.113.2:1', '203.0.113.4:1']],
    [{ channel: 'dht' as const }, []],
    [{ channel: 'pex' as const, evidence: ['hearsay' as const], asn: 64_502 }, ['203.0.113.2:1']],
    [{ evidence: ['handshaken' as const] }, []],
    [{ role: 'seed' as const }, []],
    [{ client: 'x' }, []],
  ])('about the peers of a swarm that are like %j', async (filter, expected) => {
    const graph = await twoRounds()
    expect(await named(graph.peers({ swarm: A, ...filter }))).toEqual(new Set(expected))
  })

  it('about peers of a network that is none are refused', async () => {
    const graph = await twoRounds()
    for (const cidr of ['203.0.113.0', '203.0.113.0/33', 'x/8']) {
      await expect(collect(graph.peers({ cidr }))).rejects.toMatchObject({ code: 'BAD_OPTION' })
    }
  })

  it('about who told of whom', async () => {
    const graph = await openStore()
    await writeRounds(graph, 2, 600)
    const writer = await graph.startRound(round)
    writer.observation(A, byPex(tellerAt(4), peerAt(4)))
    await writer.flush()
    const all = await collect(graph.edges({}))
    const by = await collect(graph.edges({ toldBy: ip(tellerAt(4)) }))
    expect(by).toEqual(all.filter(({ teller }) => 'endpoint' in teller && endpointKey(teller.endpoint) === tellerAt(4)))
    expect(by.length).toBeGreaterThan(10)
    const of = await collect(graph.edges({ toldOf: ip(peerAt(4)), swarm: A }))
    expect(of).toEqual(all.filter(({ peer, torrent }) => torrent === A && endpointKey(peer) === peerAt(4)))
    expect(of.length).toBeGreaterThan(1)
    expect(await collect(graph.edges({ toldOf: ip('192.0.2.1:1') }))).toEqual([])
    expect(await collect(graph.edges({ channel: 'tracker' }))).toEqual(
      all.filter(({ channel }) => channel === 'tracker'),
    )
  })

  it('why we know of an endpoint: tellers, and who told of them, back to a tracker', async () => {
    const graph = await openStore()
    const writer = await graph.startRound(round)
    const [a, b, c] = ['203.0.113.1:1', '203.0.113.2:1', '203.0.113.3:1'] as const
    writer.observation(A, byTracker('udp://t.example:1', a))
    writer.observation(A, byPex(a, b, { atMs: startMs + 5 }))
    writer.observation(A, byPex(b, c, { atMs: startMs + 9 }))
    writer.observation(A, byPex(a, c, { atMs: startMs + 10 }))
    writer.observation(A, byPex(c, a, { atMs: startMs + 11 }))
    const check = async () => {
      const found = await graph.explain(ip(c))
      expect(found).toMatchObject({ endpoint: ip(c), torrents: [{ torrent: A, firstRound: 1, lastRound: 1 }] })
      const [explained] = found?.torrents ?? []
      const tellers = explained?.tellers.map(
        ({ teller }) => teller && 'endpoint' in teller && endpointKey(teller.endpoint),
      )
      expect(tellers).toEqual([b, a])
      expect(explained?.chain.map(({ peer, tellerKind }) => `${peer?.address} ${tellerKind}`)).toEqual([
        '203.0.113.3 peer',
        '203.0.113.2 peer',
        '203.0.113.1 tracker',
      ])
      expect(explained?.record.evidence).toBe('hearsay')
    }
    await writer.flush()
    await check()
    await writer.seal(end)
    await check()
    expect(await graph.explain(ip('192.0.2.1:1'))).toBeUndefined()
  })

  it('by way of the view that exports read', async () => {
    const graph = await openStore()
    await writeRounds(graph, 1, 200)
    const edges = await collect(graph.view.edges({}))
    expect(edges).toHaveLength((await collect(graph.edges({}))).length)
    graph.clock.ms += 90 * 86_400_000
    await graph.expire()
    const later = await collect(graph.view.edges({}))
    const tracker = (all: typeof edges) => all.filter(({ teller }) => teller.kind === 'tracker').length
    expect([later.length, tracker(later)]).toEqual([edges.length, tracker(edges)])
    const party = later.find(({ teller }) => teller.kind === 'peer')
    expect(party).toMatchObject({ teller: { endpoint: null, pseudonym: expect.stringMatching(/^[0-9a-f]{32}$/) } })
    expect(await collect(graph.view.peers({}))).toHaveLength((await collect(graph.peers({ expired: true }))).length)
  })
})
