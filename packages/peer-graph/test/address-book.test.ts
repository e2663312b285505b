import { readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { endpointKey } from '@swarmatlas/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isoWeek } from '../src/iso-week.ts'
import {
  A,
  answered,
  byDht,
  byPex,
  bytesIn,
  collect,
  dayMs,
  end,
  HandClock,
  info,
  ip,
  nodeId,
  openStore,
  record,
  round,
  startMs,
  visitTo,
} from './fixtures.ts'

const teller = '198.51.100.1:51413'
const old = '203.0.113.5:6881'
const fresh = '203.0.113.6:6881'

const booksOf = async (dir: string) => (await readdir(dir)).filter((name) => name.startsWith('book-')).sort()

describe('facts', () => {
  it('hold no address, neither as text nor as bytes; the book alone does', async () => {
    const graph = await openStore({ compression: false })
    const writer = await graph.startRound(round)
    const node = '192.0.2.44:6889'
    const v6 = '[2001:db8:77::7]:6999'
    const target = `magnet:?xt=urn:btih:${A}&x.pe=${old}&dn=x`
    writer.torrent(record({ target, metadata: info({ v1: A, v2: undefined }), metadataFrom: ip(teller) }))
    writer.observation(A, byPex(teller, old))
    writer.observation(A, byPex(old, teller))
    writer.observation(A, byDht(node, v6))
    writer.visit(A, visitTo(old, { ...answered, detail: `refused by ${old}`, yourIp: '192.0.2.99' }))
    writer.tracker(A, { url: 'udp://t.example:80', outcome: 'ok', peers: 1, detail: `hello ${v6} and ${old}` })
    await writer.seal(end)
    expect(await graph.torrent(A)).toMatchObject({ target: `magnet:?xt=urn:btih:${A}&x.pe=…&dn=x` })
    await graph.close()

    const facts = await bytesIn(join(graph.dir, 'facts'))
    const book = await bytesIn(join(graph.dir, 'book-2026-W47'))
    for (const text of [teller, old, node]) {
      const [address = '', port] = text.split(':')
      const raw = Buffer.from([...address.split('.').map(Number), Number(port) >> 8, Number(port) & 255])
      expect(book.includes(raw)).toBe(true)
      expect(facts.includes(raw.subarray(0, 4))).toBe(false)
      expect(facts.includes(address)).toBe(false)
    }
    const rawV6 = Buffer.from('20010db8007700000000000000000007', 'hex')
    expect(book.includes(rawV6)).toBe(true)
    expect(facts.includes(rawV6)).toBe(false)
    expect(facts.includes('2001:db8:77')).toBe(false)
    // A node id says much about its address (BEP 42).
    expect(book.includes(Buffer.from(nodeId('7'), 'hex'))).toBe(true)
    expect(facts.includes(Buffer.from(nodeId('7'), 'hex'))).toBe(false)
    expect(facts.includes('192.0.2.99')).toBe(false)
  })
})

describe('the address book', () => {
  it('is one LevelDB a week; a peer met again keeps its number and moves into the new week', async () => {
    const graph = await openStore()
    const { clock } = graph
    const first = await graph.startRound(round)
    first.observation(A, byPex(teller, old))
    first.observation(A, byPex(teller, fresh))
    await first.seal(end)
    clock.ms += 7 * dayMs
    const second = await graph.startRound(round)
    second.observation(A, byPex(teller, fresh))
    await second.seal(end)
    expect(await collect(graph.peers({ round: 1 }))).toHaveLength(2)
    await graph.close()
    expect(await booksOf(graph.dir)).toEqual(['book-2026-W47', 'book-2026-W48'])

    // With the first week gone, what was met since is still known, over both rounds.
    await rename(join(graph.dir, 'book-2026-W47'), join(graph.dir, 'gone'))
    const again = await openStore({ dir: graph.dir, create: false, clock })
    expect(await collect(again.peers({}))).toMatchObject([{ endpoint: ip(fresh), rounds: 2, tellers: 1 }])
    expect(await collect(again.edges({}))).toMatchObject([
      { teller: { endpoint: ip(teller) }, peer: ip(fresh), count: 2 },
    ])
    // What expired gets a new number: it is not taken for anybody else.
    const third = await again.startRound(round)
    third.observation(A, byPex(teller, old))
    third.observation(A, byPex(teller, '203.0.113.7:1'))
    await third.seal(end)
    const peers = await collect(again.peers({}))
    expect(new Set(peers.map(({ endpoint }) => endpointKey(endpoint)))).toEqual(new Set([fresh, old, '203.0.113.7:1']))
    expect(peers.map(({ rounds }) => rounds)).toEqual([2, 1, 1])
  })

  it('takes the node id along into a new week in which the node spoke as a peer only', async () => {
    const graph = await openStore()
    const first = await graph.startRound(round)
    first.observation(A, byDht(teller, old))
    await first.seal(end)
    graph.clock.ms += 7 * dayMs
    const second = await graph.startRound(round)
    second.observation(A, byPex(teller, old))
    await second.seal(end)
    await graph.close()
    await rename(join(graph.dir, 'book-2026-W47'), join(graph.dir, 'gone'))
    const again = await openStore({ dir: graph.dir, create: false })
    const tellers = (await collect(again.edges({}))).map((edge) => edge.teller)
    expect(tellers).toContainEqual({ kind: 'dht-node', id: nodeId('7'), endpoint: ip(teller) })
  })

  it('never gives a number twice, whether closed or killed in between', async () => {
    const clock = new HandClock()
    const dir = (await openStore({ clock })).dir
    for (let i = 0; i < 4; i++) {
      const graph = await openStore({ dir: `${dir}/s`, clock })
      const writer = await graph.startRound(round)
      writer.observation(A, byPex(teller, `203.0.113.${i}:1`))
      await writer.seal(end)
      await graph.close()
      // Without the book nothing but the reserve in facts/ tells which numbers were given.
      for (const book of await booksOf(graph.dir)) await rename(join(graph.dir, book), join(graph.dir, `gone-${i}`))
    }
    const last = await openStore({ dir: `${dir}/s`, clock })
    const writer = await last.startRound(round)
    writer.observation(A, byPex(teller, '203.0.113.99:1'))
    await writer.seal(end)
    expect(await collect(last.peers({}))).toMatchObject([{ endpoint: ip('203.0.113.99:1'), rounds: 1 }])
    expect(await collect(last.rounds())).toMatchObject(Array(5).fill({ peers: 1 }))
  })

  it('survives a clock that jumps a week back and forth', async () => {
    const graph = await openStore()
    for (const [number, jump] of [7, -14, 7, 1].entries()) {
      graph.clock.ms += jump * dayMs
      const writer = await graph.startRound(round)
      writer.observation(A, byDht(teller, old))
      await writer.seal(end)
      expect(await collect(graph.peers({}))).toMatchObject([{ endpoint: ip(old), rounds: number + 1, tellers: 1 }])
    }
    expect(await booksOf(graph.dir)).toEqual(['book-2026-W46', 'book-2026-W47', 'book-2026-W48'])
  })

  it('knows one endpoint as a peer and as a DHT node, with the id of its latest reply', async () => {
    const graph = await openStore()
    const writer = await graph.startRound(round)
    for (const id of ['1', '2']) {
      const node = { kind: 'dht-node', id: nodeId(id), endpoint: ip(teller) } as const
      writer.observation(A, byPex(teller, teller))
      writer.observation(A, byDht(teller, id === '1' ? old : fresh, { teller: node }))
      await writer.flush()
    }
    await graph.close()
    const again = await openStore({ dir: graph.dir, create: false })
    const edges = await collect(again.edges({}))
    expect(edges).toHaveLength(3)
    const tellers = edges.map((edge) => edge.teller)
    expect(tellers).toContainEqual({ kind: 'dht-node', id: nodeId('2'), endpoint: ip(teller) })
    expect(tellers).not.toContainEqual({ kind: 'dht-node', id: nodeId('1'), endpoint: ip(teller) })
    expect(tellers).toContainEqual({ kind: 'peer', endpoint: ip(teller) })
  })
})

describe('ISO weeks', () => {
  it.each([
    ['2026-11-16', '2026-W47'],
    ['2026-11-22', '2026-W47'],
    ['2026-11-23', '2026-W48'],
    ['2027-01-03', '2026-W53'],
    ['2027-01-04', '2027-W01'],
    ['2024-12-30', '2025-W01'],
    ['2021-01-03', '2020-W53'],
    ['1970-01-01', '1970-W01'],
  ])('%s is in %s', (date, week) => {
    expect(isoWeek(Date.parse(`${date}T00:00:00Z`))).toBe(week)
    expect(isoWeek(Date.parse(`${date}T23:59:59.999Z`))).toBe(week)
  })

  it('change on Mondays only and sort as time does', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 80_000 }), (day) => {
        const [today, tomorrow] = [isoWeek(day * dayMs), isoWeek((day + 1) * dayMs)]
        const isMonday = new Date((day + 1) * dayMs).getUTCDay() === 1
        expect(tomorrow !== today).toBe(isMonday)
        expect(tomorrow >= today).toBe(true)
      }),
    )
    expect(isoWeek(startMs)).toBe('2026-W47')
  })
})
