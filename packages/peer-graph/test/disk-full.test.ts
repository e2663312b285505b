import { execFileSync } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { A, byPex, collect, end, openStore, round, temporaryDir } from './fixtures.ts'

/** A file system of 4 MB, or undefined where this user cannot mount one. */
async function smallDisk(): Promise<string | undefined> {
  const dir = await temporaryDir()
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', dir], { stdio: 'ignore' })
  } catch {
    return undefined
  }
  onTestFinished(() => void execFileSync('umount', ['-l', dir]))
  return dir
}

describe('a full disk', () => {
  it('is told as such; nothing acknowledged is lost, and the round goes on once there is space', async ({ skip }) => {
    const disk = await smallDisk()
    if (disk === undefined) return skip('needs root and mount: no tmpfs could be mounted')
    const dir = join(disk, 'store')
    const ballast = join(disk, 'ballast')
    await writeFile(ballast, Buffer.alloc(3_200_000))
    const graph = await openStore({ dir, compression: false })
    const writer = await graph.startRound(round)
    let given = 0
    let meanwhile = 0
    let acknowledged = 0
    let failure: unknown
    while (failure === undefined && given < 200_000) {
      for (const stop = given + 500; given < stop; given++) {
        writer.observation(A, byPex('198.51.100.1:1', `10.${given >> 16}.${(given >> 8) & 255}.${given & 255}:6881`))
      }
      const written = writer.flush()
      // Said while the write is under way: it must outlast the write's failure.
      await Promise.resolve()
      writer.observation(A, byPex('198.51.100.1:1', `11.${given >> 16}.${(given >> 8) & 255}.${given & 255}:6881`))
      meanwhile++
      await written.then(
        () => {
          acknowledged = given
        },
        (error) => {
          failure = error
        },
      )
    }
    expect(failure).toMatchObject({
      code: 'STORE_FULL',
      message: expect.stringContaining(dir),
      hint: expect.any(String),
    })
    expect(acknowledged).toBeGreaterThan(500)
    await expect(writer.seal(end)).rejects.toMatchObject({ code: 'STORE_FULL' })

    await rm(ballast)
    await writer.seal(end)
    const all = given + meanwhile
    expect(await collect(graph.peers({}))).toHaveLength(all)
    await graph.close()
    const again = await openStore({ dir, create: false })
    expect(await collect(again.rounds())).toMatchObject([{ endedMs: end.atMs, peers: all, observations: all }])
    expect(await collect(again.peers({}))).toHaveLength(all)
    expect(new Set((await collect(again.edges({}))).map(({ count }) => count))).toEqual(new Set([1]))
  })

  it('that stays full until the process ends costs only what was never acknowledged', async ({ skip }) => {
    const disk = await smallDisk()
    if (disk === undefined) return skip('needs root and mount: no tmpfs could be mounted')
    const dir = join(disk, 'store')
    const graph = await openStore({ dir, compression: false })
    const writer = await graph.startRound(round)
    writer.observation(A, byPex('198.51.100.1:1', '203.0.113.1:1'))
    await writer.flush()
    const ballast = join(disk, 'ballast')
    await writeFile(ballast, Buffer.alloc(8_000_000)).catch(() => {})
    for (let i = 0; i < 2_000; i++) writer.observation(A, byPex('198.51.100.1:1', `10.0.${i >> 8}.${i & 255}:6881`))
    await expect(graph.close()).rejects.toMatchObject({ code: 'STORE_FULL' })
    await rm(ballast)
    const again = await openStore({ dir, create: false })
    expect(await collect(again.peers({}))).toMatchObject([{ endpoint: { address: '203.0.113.1' } }])
  })
})
