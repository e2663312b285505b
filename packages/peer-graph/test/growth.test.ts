import { execFileSync } from 'node:child_process'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { addressBytes, limits } from '@swarmatlas/core'
import { describe, expect, it, onTestFinished } from 'vitest'
import { sizeOf } from '../src/space.ts'
import { A, B, byDht, byPex, bytesIn, collect, dayMs, end, ip, openStore, round, temporaryDir } from './fixtures.ts'
import { answersOf, peerAt, placeOf, tellerAt, writeFacts, writeRounds } from './loads.ts'

const secret = '203.0.120.200'

/** Where the address stands, as text or as bytes. */
async function filesWith(dir: string, address: string): Promise<string[]> {
  const found: string[] = []
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const bytes = await readFile(path)
    if (bytes.includes(Buffer.from(addressBytes(address))) || bytes.includes(address)) found.push(path)
  }
  return found
}

describe('an address', () => {
  const write = async (graph: Awaited<ReturnType<typeof openStore>>, seed: number) => {
    const writer = await graph.startRound(round)
    await writeFacts(writer, seed, 200)
    // First and last of the book, so that the manifest names them too.
    for (const port of [1, 65_535]) {
      writer.observation(A, byPex(tellerAt(3), `${secret}:${port}`))
      writer.observation(A, byDht(`${secret}:${port}`, peerAt(4)))
    }
    for (const edge of ['0.0.0.1:1', '255.0.0.1:1']) writer.observation(A, byPex(tellerAt(3), edge))
    await writer.seal({ ...end, placeOf })
  }

  it('is nowhere in the directory once it has expired, log and manifest included', async () => {
    const graph = await openStore({ compression: false })
    await write(graph, 1)
    await graph.close()
    // Reopened, LevelDB moves its log into tables, whose bounds stand in the manifest.
    const { clock } = graph
    const again = await openStore({ dir: graph.dir, create: false, compression: false, clock })
    expect(await filesWith(graph.dir, secret)).not.toEqual([])
    expect(await filesWith(graph.dir, '255.0.0.1')).not.toEqual([])
    clock.ms += limits.addressRetentionMs
    expect((await again.expire()).weeks).toEqual([])
    clock.ms += 7 * dayMs
    const peers = (await collect(again.peers({ expired: true }))).length
    expect((await again.expire()).weeks).toEqual(['2026-W47'])
    for (const address of [secret, '255.0.0.1', peerAt(4).split(':')[0] as string]) {
      expect(await filesWith(graph.dir, address)).toEqual([])
    }
    expect(await collect(again.peers({ expired: true }))).toHaveLength(peers)
    await again.close()
    expect(await filesWith(graph.dir, secret)).toEqual([])
  })

  it('that was forgotten is nowhere, nor its pseudonym; others stay', async () => {
    const graph = await openStore({ compression: false })
    await write(graph, 1)
    graph.clock.ms += 7 * dayMs
    await write(graph, 2)
    const before = await collect(graph.peers({}))
    const forgotten = before.filter(({ endpoint }) => endpoint.address === secret)
    expect(forgotten).toHaveLength(2)
    expect(await graph.forget(secret)).toEqual({ endpoints: 2 })
    expect(await filesWith(graph.dir, secret)).toEqual([])
    const bytes = await bytesIn(graph.dir)
    for (const { pseudonym } of forgotten) expect(bytes.includes(Buffer.from(pseudonym, 'hex'))).toBe(false)
    expect(await collect(graph.peers({}))).toEqual(before.filter(({ endpoint }) => endpoint.address !== secret))
    expect(await graph.forget(secret)).toEqual({ endpoints: 0 })
    await expect(graph.forget('nobody')).rejects.toMatchObject({ code: 'BAD_OPTION' })
    await graph.close()
    const again = await openStore({ dir: graph.dir, create: false })
    expect(await collect(again.peers({}))).toHaveLength(before.length - 2)
    expect(await collect(again.events())).toMatchObject([{ number: 1, kind: 'forgotten', endpoints: 2 }])
    expect(await collect(again.verify())).toEqual([])
  })

  it('of a round that is still open does not expire before the round is sealed', async () => {
    const graph = await openStore()
    const writer = await graph.startRound(round)
    writer.observation(A, byPex(tellerAt(1), peerAt(1)))
    await writer.flush()
    graph.clock.ms += 90 * dayMs
    expect(await graph.expire()).toEqual({ weeks: [], addresses: 0 })
    await writer.seal({ ...end, placeOf })
    expect(await graph.expire()).toEqual({ weeks: ['2026-W47'], addresses: 2 })
    expect(await collect(graph.peers({ expired: true }))).toMatchObject([{ endpoint: null, place: { country: 'FR' } }])
  })
})

describe('pruning', () => {
  it('by age drops rounds with their space, and leaves the others as they were', async () => {
    const graph = await openStore({ compression: false })
    await writeRounds(graph, 3, 3_000)
    graph.clock.ms += 14 * dayMs
    const atMs = graph.clock.ms
    const writer = await graph.startRound({ ...round, atMs })
    await writeFacts(writer, 9, 300)
    await writer.seal({ ...end, atMs, placeOf })
    const latest = (await answersOf(graph)).latest
    const before = await sizeOf(join(graph.dir, 'sealed-2026-W47'))
    const { rounds, freedBytes } = await graph.prune({ olderThanMs: 7 * dayMs })
    expect(rounds).toEqual([1, 2, 3])
    expect(freedBytes).toBeGreaterThan(before / 2)
    expect(await readdir(graph.dir)).not.toContain('sealed-2026-W47')
    const after = await answersOf(graph)
    expect(after.rounds).toHaveLength(1)
    expect(after.peers).toEqual(latest)
    expect(await collect(graph.swarms())).toMatchObject([{ rounds: 1 }, { rounds: 1 }])
    expect(await collect(graph.events())).toMatchObject([{ kind: 'pruned', rounds: [1, 2, 3], swarm: null }])
    expect((await graph.startRound(round)).number).toBe(5)
  })

  it('of one round of a week writes that week anew', async () => {
    const graph = await openStore()
    await writeRounds(graph, 3, 1_000)
    const reading = graph.peers({ round: 1, expired: true })
    await reading.next()
    graph.clock.ms += dayMs
    expect((await graph.prune({ olderThanMs: dayMs - 2 * 7_200_000 + 1 })).rounds).toEqual([1])
    // Who reads keeps what he reads.
    expect((await collect(reading)).length).toBeGreaterThan(100)
    expect(await collect(graph.peers({ round: 1 }))).toEqual([])
    expect((await collect(graph.peers({ round: 2 }))).length).toBeGreaterThan(100)
    expect(await collect(graph.verify())).toEqual([])
    await graph.close()
    expect((await readdir(graph.dir)).filter((name) => name.startsWith('sealed-'))).toEqual(['sealed-2026-W47-2'])
    const again = await openStore({ dir: graph.dir, create: false })
    expect(await collect(again.rounds())).toHaveLength(2)
  })

  it('of a swarm leaves rounds and other swarms', async () => {
    const graph = await openStore()
    await writeRounds(graph, 2, 600)
    const kept = await collect(graph.peers({ swarm: B }))
    expect((await graph.prune({ swarm: A })).rounds).toEqual([1, 2])
    expect(await collect(graph.peers({}))).toEqual(kept)
    expect(await collect(graph.rounds())).toMatchObject([{ swarms: 1 }, { swarms: 1 }])
    await expect(graph.prune({})).rejects.toMatchObject({ code: 'BAD_OPTION' })
  })
})

describe('space', () => {
  it('over the cap makes collectors wait, says so, and lets them go on when there is room', async () => {
    const pauses: (string | undefined)[] = []
    const graph = await openStore({ space: { capBytes: 200_000 }, onPause: (why) => pauses.push(why) })
    const writer = await graph.startRound(round)
    await writer.ready()
    const hog = join(graph.dir, 'study.key.hog')
    await writeFile(hog, Buffer.alloc(300_000))
    graph.clock.advance(limits.storeSpaceCheckMs)
    let went = false
    const waiting = writer.ready().then(() => {
      went = true
    })
    await expect.poll(() => pauses).toEqual(['size'])
    const stop = new AbortController()
    const aborted = writer.ready({ signal: stop.signal })
    stop.abort()
    await aborted
    expect(went).toBe(false)
    // What is known can still be written.
    writer.observation(A, byPex(tellerAt(1), peerAt(1)))
    await writer.flush()
    await writeFile(hog, '')
    graph.clock.advance(limits.storeSpaceCheckMs)
    await waiting
    expect(pauses).toEqual(['size', undefined])
    await writer.seal(end)
    expect(await collect(graph.events())).toMatchObject([{ kind: 'paused', why: 'size' }, { kind: 'resumed' }])
    expect(graph.clock.pending).toBe(0)
  })

  it('in reserve lets a round be written and sealed on a full disk', async ({ skip }) => {
    const disk = await temporaryDir()
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', disk], { stdio: 'ignore' })
    } catch {
      return skip('needs root and mount: no tmpfs could be mounted')
    }
    onTestFinished(() => void execFileSync('umount', ['-l', disk]))
    const dir = join(disk, 'store')
    const graph = await openStore({ dir, compression: false, space: { ballastBytes: 6_000_000 } })
    expect((await stat(join(dir, 'ballast'))).size).toBe(6_000_000)
    const writer = await graph.startRound(round)
    await writeFile(join(disk, 'hog'), Buffer.alloc(16_000_000)).catch(() => {})
    for (let i = 0; i < 3_000; i++) writer.observation(A, byPex(tellerAt(1), `10.0.${i >> 8}.${i & 255}:1`))
    await writer.seal(end)
    expect(await readdir(dir)).not.toContain('ballast')
    expect(await collect(graph.peers({ round: 'latest' }))).toHaveLength(3_000)
    expect((await graph.explain(ip('10.0.0.1:1')))?.torrents).toHaveLength(1)
  })
})
