/** When trackers may be asked again: within a process and by the next one. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Encodable, encodeBencode, encodeCompact, type Host, type InfoHash } from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { describe, expect, test } from 'vitest'
import { memoryJournal, openTrackerJournal, type TrackerJournal } from '../src/index.ts'
import { eventsOf, forever, harness, httpServer, OTHER_SWARM } from './harness.ts'

const PEERS = encodeCompact({ address: '1.2.3.4', port: 6881 })

/** Real sockets, and a wall clock that the test sets forward. */
function adjustable(): { host: Host; forward(seconds: number): void } {
  const host = nodeHost()
  let aheadMs = 0
  return {
    host: { ...host, clock: { ...host.clock, now: () => host.clock.now() + aheadMs } },
    forward: (seconds) => {
      aheadMs += seconds * 1_000
    },
  }
}

/** A tracker that answers with `reply`, a journal, and clients one after another, each a process of its own. */
async function world(reply: () => Encodable | undefined) {
  const server = await httpServer((_, response) => {
    const dict = reply()
    response.end(dict === undefined ? '<html>' : encodeBencode(dict))
  })
  const journal = memoryJournal()
  const { host, forward } = adjustable()
  const url = `${server.origin}/announce`
  return {
    server,
    forward,
    journal,
    start: () => harness({ host, journal }),
    announce: (us: ReturnType<typeof harness>, swarm?: InfoHash) =>
      us.announce(url, swarm).then(({ report }) => report),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

describe('while our announce stands', () => {
  test('the interval passes between announces; the repeat has no event', async () => {
    await using w = await world(() => ({ interval: 100, 'min interval': 30, peers: PEERS }))
    await using us = w.start()
    expect(await w.announce(us)).toMatchObject({ outcome: 'ok', intervalS: 100 })
    w.forward(99)
    expect(await w.announce(us)).toMatchObject({
      outcome: 'over-budget',
      detail: 'asked 99 s ago, the tracker wants 100 s between announces; the peers of that reply are not kept here',
      peers: 0,
    })
    w.forward(2)
    expect(await w.announce(us)).toMatchObject({ outcome: 'ok' })
    expect(eventsOf(w.server.requests)).toEqual(['started', 'none'])
  })

  test('another swarm at the same tracker is another matter', async () => {
    await using w = await world(() => ({ interval: 100 }))
    await using us = w.start()
    await w.announce(us)
    expect(await w.announce(us, OTHER_SWARM)).toMatchObject({ outcome: 'ok' })
  })

  test('no interval means 30 minutes, an absurd one at most a day and at least a minute', async () => {
    const waits: string[] = []
    for (const interval of [undefined, 2 ** 40, 0]) {
      await using w = await world(() => ({ interval, peers: PEERS }))
      await using us = w.start()
      await w.announce(us)
      waits.push(/wants (\d+) s/.exec((await w.announce(us)).detail ?? '')?.[1] ?? '')
    }
    expect(waits).toEqual(['1800', '86400', '60'])
  })

  test('it is asked once at a time', async () => {
    await using w = await world(() => ({ interval: 100 }))
    await using us = w.start()
    const outcomes = await Promise.all([w.announce(us), w.announce(us)])
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['ok', 'over-budget'])
  })
})

describe('after stopped, from the next process', () => {
  test('the same lookup twice in a row is answered twice', async () => {
    await using w = await world(() => ({ interval: 1800, peers: PEERS }))
    for (let run = 0; run < 2; run++) {
      await using us = w.start()
      expect(await w.announce(us)).toMatchObject({ outcome: 'ok', peers: 1 })
    }
    expect(eventsOf(w.server.requests)).toEqual(['started', 'stopped', 'started', 'stopped'])
  })

  test('but a min interval binds', async () => {
    await using w = await world(() => ({ interval: 1800, 'min interval': 900, peers: PEERS }))
    const first = w.start()
    await w.announce(first)
    await first.client.close()
    await using second = w.start()
    w.forward(100)
    expect(await w.announce(second)).toMatchObject({
      outcome: 'over-budget',
      detail: expect.stringMatching(/^asked 100 s ago, the tracker wants 900 s/),
    })
    w.forward(801)
    expect(await w.announce(second)).toMatchObject({ outcome: 'ok' })
  })

  test.each([
    [5, 300],
    ['5', 300],
    ['never', 2_592_000],
    [2 ** 45, 86_400],
  ])('retry in %s (BEP 31) is %i s', async (retry, seconds) => {
    await using w = await world(() => ({ 'failure reason': 'full', 'retry in': retry }))
    const first = w.start()
    expect(await w.announce(first)).toMatchObject({ outcome: 'refused', detail: 'full' })
    await first.client.close()
    await using second = w.start()
    expect(await w.announce(second)).toMatchObject({
      outcome: 'over-budget',
      detail: expect.stringContaining(`for ${seconds} s`),
    })
    w.forward(seconds - 10)
    expect(await w.announce(second)).toMatchObject({ outcome: 'over-budget' })
    w.forward(11)
    expect(await w.announce(second)).toMatchObject({ outcome: 'refused' })
  })

  test('a failing tracker is left alone for longer each time, until it answers', async () => {
    let works = false
    await using w = await world(() => (works ? { interval: 60 } : undefined))
    const waits: number[] = []
    for (let failure = 0; failure < 10; failure++) {
      await using us = w.start()
      expect(await w.announce(us)).toMatchObject({ outcome: 'bad-message' })
      const wait = Number(/for (\d+) s/.exec((await w.announce(us)).detail ?? '')?.[1])
      waits.push(wait)
      w.forward(wait + 1)
    }
    expect(waits).toEqual([15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600])
    works = true
    await using us = w.start()
    expect(await w.announce(us)).toMatchObject({ outcome: 'ok' })
    works = false
    w.forward(61)
    await w.announce(us)
    expect(await w.announce(us)).toMatchObject({
      detail: expect.stringContaining('(1 in a row), it is left alone for 15 s'),
    })
  })

  test('a clock that was set back does not lock a tracker out for years', async () => {
    await using w = await world(() => ({ interval: 60, 'min interval': 60 }))
    w.forward(1e8)
    const first = w.start()
    await w.announce(first)
    await first.client.close()
    w.forward(-1e8)
    await using second = w.start()
    expect(await w.announce(second)).toMatchObject({ outcome: 'ok' })
  })
})

describe('the journal decides', () => {
  const failing = (broken: Partial<TrackerJournal>): TrackerJournal => ({ ...memoryJournal(), ...broken })

  test('what cannot be journalled is not sent', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'swarmatlas-journal-'))
    await using server = await httpServer((_, response) => response.end(encodeBencode({ interval: 60 })))
    const journal = await openTrackerJournal({
      path: join(directory, 'journal'),
      clock: nodeHost().clock,
      pid: process.pid,
      isAlive: () => true,
    })
    await using us = harness({ journal: failing({ append: (record) => journal.append(record) }) })
    await journal.close()
    const { report } = await us.announce(`${server.origin}/announce`)
    expect(report).toMatchObject({ outcome: 'not-tried', detail: expect.stringContaining('journal is closed') })
    expect(server.requests).toEqual([])
    await rm(directory, { recursive: true })
  })

  test('a stopped that fails is owed to the next process, three times at most', async () => {
    let up = true
    const server = await httpServer((_, response) =>
      up ? response.end(encodeBencode({ interval: 60 })) : response.destroy(),
    )
    await using _ = server
    const journal = memoryJournal()
    const first = harness({ journal })
    await first.announce(`${server.origin}/announce`)
    up = false
    await first.client.close()
    for (let process = 0; process < 3; process++) {
      await using us = harness({ journal })
      expect(await us.client.settleDebts({ signal: forever() })).toBe(0)
    }
    expect(eventsOf(server.requests)).toEqual(['started', 'stopped', 'stopped', 'stopped'])
  })
})
