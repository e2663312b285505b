import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { endpointKey, limits } from '@swarmatlas/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { emptyFacts } from '../src/batches.ts'
import { decodeFacts, FactBlockWriter } from '../src/fact-block.ts'
import type { PeerGraph } from '../src/index.ts'
import { sizeOf } from '../src/space.ts'
import { decodeTellers, encodeTellers, TellerTableBuilder } from '../src/teller-table.ts'
import { A, answered, byPex, collect, end, ip, openStore, round, startMs, visitTo } from './fixtures.ts'
import { type Answers, answersOf, peerAt, placeOf, seeded, tellerAt, writeFacts, writeRounds } from './loads.ts'

async function namesIn(dir: string, prefix: string): Promise<string[]> {
  return (await readdir(dir)).filter((name) => name.startsWith(prefix))
}

describe('a sealed round', () => {
  it('says what its rows said, before and after reopening and rebuilding', async () => {
    const graph = await openStore()
    await writeRounds(graph, 2, 900)
    const writer = await graph.startRound(round)
    await writeFacts(writer, 3, 900)
    await writer.flush()
    const open = await answersOf(graph)
    await writer.seal(end)
    const sealed = await answersOf(graph)
    // The open round's summary has no end yet, and its peers no place.
    const { rounds: _, series: __, latest: ___, ...rows } = open
    for (const [question, answer] of Object.entries(rows)) {
      expect([question, sealed[question as keyof Answers]]).toEqual([question, answer])
    }
    expect(sealed.peers?.length).toBeGreaterThan(300)
    expect(await namesIn(graph.dir, 'open-')).toEqual([])
    await graph.close()

    const again = await openStore({ dir: graph.dir, create: false })
    expect(await answersOf(again)).toEqual(sealed)
    expect(await again.rebuild()).toMatchObject({ rounds: 3, notRedone: 0 })
    expect(await answersOf(again)).toEqual(sealed)
    expect(await collect(again.verify())).toEqual([])
  })

  it('of a swarm whose facts take many blocks is read back whole, and one peer of it alone', async () => {
    const graph = await openStore()
    const writer = await graph.startRound(round)
    const next = seeded(9)
    for (let i = 0; i < 12_000; i++) {
      writer.observation(A, byPex(tellerAt(next(200)), `10.0.${i >> 8}.${i & 255}:1`, { atMs: startMs + next(5_000) }))
      if (i % 5_000 === 0) await writer.ready()
    }
    for (let i = 0; i < 100; i++) writer.observation(A, byPex(tellerAt(i), '10.9.9.9:1'))
    await writer.flush()
    const before = await answersOf(graph)
    await writer.seal(end)
    const after = await answersOf(graph)
    expect(after.edges).toEqual(before.edges)
    expect(after.peers).toEqual(before.peers)
    const told = await collect(graph.edges({ toldOf: ip('10.9.9.9:1') }))
    expect(new Set(told.map(({ teller }) => 'endpoint' in teller && endpointKey(teller.endpoint)))).toEqual(
      new Set(Array.from({ length: 100 }, (_, i) => tellerAt(i))),
    )
  })

  it('costs 2 bytes for an edge that has not changed, and 16 for any fact', async () => {
    let graph: PeerGraph = await openStore()
    const sizes: number[] = []
    const [peers, named] = [500, 50]
    for (let number = 0; number < 3; number++) {
      const atMs = startMs + number * 7_200_000
      const writer = await graph.startRound({ ...round, atMs })
      const next = seeded(1)
      const later = seeded(100 + number)
      for (let teller = 0; teller < peers; teller++) {
        const said = { atMs: atMs + later(3_600_000) }
        for (let i = 0; i < named; i++) writer.observation(A, byPex(peerAt(teller), peerAt(next(peers)), said))
        await writer.ready()
      }
      await writer.seal({ ...end, atMs: atMs + 3_600_000, placeOf })
      await graph.close()
      // Reopened, so that what was written stands in files without log and slack.
      const again = await openStore({ dir: graph.dir, create: false })
      await again.close()
      sizes.push((await sizeOf(join(graph.dir, 'sealed-2026-W47'))) + (await sizeOf(join(graph.dir, 'facts'))))
      graph = await openStore({ dir: graph.dir, create: false })
    }
    const facts = peers * named * 0.97
    expect((sizes[0] as number) / facts).toBeLessThan(16)
    expect(((sizes[2] as number) - (sizes[1] as number)) / facts).toBeLessThan(2)
  })

  it('keeps place and pseudonym of peers and tellers when their addresses have expired', async () => {
    const graph = await openStore()
    await writeRounds(graph, 2, 300)
    const before = await collect(graph.peers({ expired: true }))
    const edges = (await collect(graph.edges({}))).length
    expect(before.every(({ place }) => place !== null)).toBe(true)
    graph.clock.ms += 40 * 86_400_000
    const expired = await graph.expire()
    expect(expired.weeks).toEqual(['2026-W47'])
    expect(expired.addresses).toBeGreaterThan(before.length / 2)
    const after = await collect(graph.peers({ expired: true }))
    expect(after).toEqual(before.map((record) => ({ ...record, endpoint: null })))
    expect(await collect(graph.peers({}))).toEqual([])
    expect(await collect(graph.peers({ country: 'de', asn: 64_502, expired: true }))).toEqual(
      after.filter(({ place }) => place?.country === 'DE' && place.asn === 64_502),
    )
    const told = await collect(graph.edges({ expired: true }))
    expect(told).toHaveLength(edges)
    expect(told.every(({ tellerKind, teller }) => (teller === null) === (tellerKind !== 'tracker'))).toBe(true)
    // Met again, the same pseudonym.
    const writer = await graph.startRound(round)
    const again = endpointKey(before[0]?.endpoint ?? ip('192.0.2.1:1'))
    writer.observation(A, byPex(tellerAt(1), again))
    await writer.seal(end)
    const [known] = await collect(graph.peers({ round: 'latest' }))
    expect(known?.pseudonym).toBe(before[0]?.pseudonym)
    expect(await graph.rebuild({ placeOf: () => null })).toMatchObject({ rounds: 3, redone: 2 })
    expect((await graph.rebuild()).notRedone).toBe(0)
  })

  it('counts tellers of one network or autonomous system once, for ever', async () => {
    const graph = await openStore()
    const writer = await graph.startRound(round)
    for (const [i, tellers] of [
      ['198.51.100.1:1', '198.51.100.2:1'],
      ['198.51.100.1:1', '198.51.101.1:1'],
      ['198.51.100.1:1', '198.51.102.1:1'],
    ].entries()) {
      for (const teller of tellers) writer.observation(A, byPex(teller, peerAt(i)))
    }
    const asns: Record<string, number> = { '198.51.100.1': 1, '198.51.101.1': 1, '198.51.102.1': 2 }
    await writer.seal({ ...end, placeOf: (at) => ({ ...placeOf(at), asn: asns[at.address] ?? null }) })
    const evidence = async () => (await collect(graph.peers({ expired: true }))).map((record) => record.evidence)
    expect(await evidence()).toEqual(['hearsay', 'hearsay', 'corroborated'])
    graph.clock.ms += 60 * 86_400_000
    await graph.expire()
    expect(await evidence()).toEqual(['hearsay', 'hearsay', 'corroborated'])
  })

  it('that was cut short becomes blocks when the next one begins', async () => {
    const first = await openStore()
    const writer = await first.startRound(round)
    await writeFacts(writer, 1, 100)
    await writer.flush()
    const before = await answersOf(first)
    await first.close()
    const again = await openStore({ dir: first.dir, create: false })
    expect(await namesIn(first.dir, 'open-')).toEqual(['open-1'])
    const next = await again.startRound(round)
    expect(await namesIn(first.dir, 'open-')).toEqual(['open-2'])
    expect((await answersOf(again)).peers).toEqual(before.peers)
    expect(await collect(again.rounds())).toMatchObject([{ endedMs: null, reason: null }, {}])
    await next.seal(end)
  })

  it('is read by who began before it was sealed, from its rows', async () => {
    const graph = await openStore()
    const writer = await graph.startRound(round)
    for (let i = 0; i < 5_000; i++) writer.observation(A, byPex(tellerAt(1), `10.0.${i >> 8}.${i & 255}:1`))
    await writer.flush()
    const reading = graph.peers({})
    await reading.next()
    await writer.seal(end)
    expect(await namesIn(graph.dir, 'open-')).toEqual(['open-1'])
    expect(await collect(reading)).toHaveLength(4_999)
    await expect.poll(() => namesIn(graph.dir, 'open-')).toEqual([])
  })
})

describe('a sealing whose n-th write fails', () => {
  it('is whole after another try, and after reopening, for each n', async () => {
    let reference: string | undefined
    for (let n = 0; ; n++) {
      let left = Number.POSITIVE_INFINITY
      const onBatch = () => {
        if (left-- === 0) throw new Error('failed by the test')
      }
      const graph: PeerGraph = await openStore({ onBatch })
      // The same key, so that pseudonyms compare.
      const writer = await graph.startRound(round)
      for (let i = 0; i < 40; i++) writer.observation(A, byPex(tellerAt(i % 3), peerAt(i)))
      writer.visit(A, visitTo(peerAt(3), answered))
      await writer.flush()
      left = n
      const failure = await writer.seal({ ...end, placeOf }).catch((error) => error)
      left = Number.POSITIVE_INFINITY
      if (n % 2 === 0) await writer.seal({ ...end, placeOf })
      await graph.close()
      const again = await openStore({ dir: graph.dir, create: false })
      if (n % 2 === 1 && failure !== undefined) await (await again.startRound(round)).seal(end)
      const answers = await answersOf(again)
      const { peers = [], edges = [] } = answers
      expect([peers.length, edges.length]).toEqual([40, 40])
      expect(await collect(again.verify())).toEqual([])
      const [swarm] = await collect(again.swarms())
      reference ??= JSON.stringify(swarm?.latest?.byEvidence)
      if (n % 2 === 0) expect(JSON.stringify(swarm?.latest?.byEvidence)).toBe(reference)
      expect(swarm?.peers).toBe(40)
      await again.close()
      if (failure === undefined) {
        expect(n).toBeGreaterThan(6)
        break
      }
      expect(failure).toMatchObject({ code: 'WRITE_FAILED' })
    }
  })
})

describe('a block', () => {
  const fact = fc.record({
    peer: fc.integer({ min: 1, max: 2 ** 40 - 1 }),
    teller: fc.integer({ min: 0, max: 2 ** 42 - 1 }),
    first: fc.integer({ min: 0, max: 2 ** 47 }),
    lasting: fc.integer({ min: 0, max: 2 ** 40 }),
    count: fc.integer({ min: 1, max: 2 ** 40 }),
    flags: fc.nat({ max: 255 }),
    pex: fc.nat({ max: 255 }),
  })
  const facts = fc.uniqueArray(fact, {
    maxLength: 60,
    minLength: 1,
    selector: ({ peer, teller }) => `${peer} ${teller}`,
  })

  it('holds any facts, compressed or not', () => {
    fc.assert(
      fc.property(facts, fc.boolean(), (given, compression) => {
        given.sort((a, b) => a.peer - b.peer || a.teller - b.teller)
        const of = { round: 1, wire: 2 }
        const batch = emptyFacts(of, given.length)
        const builder = new TellerTableBuilder()
        given.forEach(({ peer, teller, first, lasting, count, flags, pex }, i) => {
          batch.peers[i] = peer
          batch.tellers[i] = teller
          batch.firstMs[i] = first
          batch.lastMs[i] = first + lasting
          batch.counts[i] = count
          batch.flags[i] = flags
          batch.pex[i] = pex
          batch.channels[i] = 2
          builder.note(teller, first, first + lasting)
        })
        const ids = builder.ids()
        const table = decodeTellers(new Map([...encodeTellers(builder.finish(ids, new Map()), compression)].entries()))
        expect(table).toEqual(builder.finish(ids, new Map()))
        const places = new Map([...ids].map((id, place) => [id, place]))
        const writer = new FactBlockWriter(table, places)
        for (let i = 0; i < batch.length; i++) writer.add(batch, i)
        expect(writer.lastPeer).toBe(given.at(-1)?.peer)
        const packed = writer.finish(compression)
        expect(decodeFacts(packed, { of, channel: 2 }, table, new Float64Array(ids.length))).toEqual(batch)
        for (let cut = 0; cut < packed.length; cut += 7) {
          try {
            decodeFacts(packed.subarray(0, cut), { of, channel: 2 }, table, new Float64Array(ids.length))
          } catch (error) {
            expect(error).toMatchObject({ code: 'STORE_CORRUPT' })
          }
        }
      }),
    )
  })

  it('keeps times beyond those that a list of tellers holds', () => {
    const builder = new TellerTableBuilder()
    const count = limits.storeTellerTimes + 20
    const batch = emptyFacts({ round: 1, wire: 1 }, count)
    for (let i = 0; i < count; i++) {
      const first = 1_000_000 - 7 * i
      batch.peers[i] = i + 1
      batch.firstMs[i] = first
      batch.lastMs[i] = first + (i % 3)
      batch.counts[i] = 1
      builder.note(0, first, first + (i % 3))
    }
    const table = builder.finish(builder.ids(), new Map())
    const writer = new FactBlockWriter(table, new Map([[0, 0]]))
    for (let i = 0; i < count; i++) writer.add(batch, i)
    expect(
      decodeFacts(writer.finish(true), { of: { round: 1, wire: 1 }, channel: 0 }, table, new Float64Array(1)),
    ).toEqual(batch)
  })
})

describe('the study key', () => {
  it('is for its owner alone, makes other pseudonyms once destroyed, and leaves those that are sealed', async () => {
    const graph = await openStore()
    await writeRounds(graph, 1, 100)
    const path = join(graph.dir, 'study.key')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    const [before] = await collect(graph.peers({}))
    await graph.destroyStudyKey()
    expect((await collect(graph.peers({})))[0]).toEqual(before)
    graph.clock.ms += 60 * 86_400_000
    await graph.expire()
    const writer = await graph.startRound(round)
    writer.observation(A, byPex(tellerAt(1), endpointKey(before?.endpoint ?? ip('192.0.2.1:1'))))
    await writer.seal(end)
    const pseudonyms = (await collect(graph.peers({ expired: true }))).map(({ pseudonym }) => pseudonym)
    expect(pseudonyms.filter((pseudonym) => pseudonym === before?.pseudonym)).toHaveLength(1)
  })
})
