import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { sleep } from '@swarmatlas/core'
import { nodeClock } from '@swarmatlas/core/node'
import { Level } from 'level'
import { expect, test } from 'vitest'
import { withVirtualTime } from '../src/virtual-time.ts'

const seed = 1

test('a day passes at once, on the clock seam and on the globals', async () => {
  const seen = await withVirtualTime({ seed, limitMs: 2 * 86_400_000 }, async (time) => {
    const wall = Date.now()
    const monotonic = performance.now()
    await sleep(nodeClock, 86_400_000)
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(time.elapsedMs()).toBe(86_400_005)
    expect(nodeClock.now() - wall).toBe(86_400_005)
    expect(performance.now() - monotonic).toBe(86_400_005)
    return 'done'
  })
  expect(seen).toBe('done')
})

test('timers fire in order of time, with what they set off done before the next one', async () => {
  const trace: string[] = []
  await withVirtualTime({ seed }, async (time) => {
    const log = (what: string) => trace.push(`${time.elapsedMs()} ${what}`)
    setTimeout(() => log('late'), 30)
    setTimeout(async () => {
      await new Promise((resolve) => setImmediate(resolve))
      await new Promise<void>((resolve) => process.nextTick(resolve))
      log('after an immediate and a tick')
    }, 10)
    const stream = new PassThrough()
    stream.on('data', (bytes) => log(`stream ${bytes}`))
    setTimeout(() => stream.write('x'), 20)
    await sleep(nodeClock, 40)
  })
  expect(trace).toEqual(['10 after an immediate and a tick', '20 stream x', '30 late'])
})

test('time stands still while a file is read', async () => {
  await withVirtualTime({ seed }, async (time) => {
    let beats = 0
    const interval = setInterval(() => beats++, 1)
    for (let i = 0; i < 5; i++) await readFile(new URL(import.meta.url))
    clearInterval(interval)
    expect([time.elapsedMs(), beats]).toEqual([0, 0])
  })
})

test('time stands still while LevelDB works', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'swarmatlas-'))
  await withVirtualTime({ seed }, async (time) => {
    let beats = 0
    const interval = setInterval(() => beats++, 1)
    const database = new Level(folder)
    for (let i = 0; i < 100; i++) await database.put(`${i}`, 'x')
    expect(await database.keys().all()).toHaveLength(100)
    await database.close()
    clearInterval(interval)
    expect([time.elapsedMs(), beats]).toEqual([0, 0])
  })
  await rm(folder, { recursive: true })
})

test('a body that waits for nothing is a deadlock', async () => {
  await expect(withVirtualTime({ seed }, () => new Promise(() => {}))).rejects.toThrow(/deadlock after 0 virtual ms/)
})

test('a body that never ends is stopped at the limit', async () => {
  const forever = withVirtualTime({ seed, limitMs: 1_000 }, async () => {
    for (;;) await sleep(nodeClock, 10)
  })
  await expect(forever).rejects.toThrow(/not done after 1000 virtual ms/)
})

test('the error of the body comes out, and the globals are real again', async () => {
  const { setTimeout: timer, Date: date } = globalThis
  const { random } = Math
  await expect(
    withVirtualTime({ seed }, async () => {
      expect(globalThis.setTimeout).not.toBe(timer)
      await sleep(nodeClock, 10)
      throw new Error('mine')
    }),
  ).rejects.toThrow('mine')
  expect([globalThis.setTimeout, globalThis.Date, Math.random]).toEqual([timer, date, random])
})

test('the same seed gives the same Math.random, another seed another', async () => {
  const draw = (seed: number) => withVirtualTime({ seed }, async () => [Math.random(), Math.random()])
  expect(await draw(7)).toEqual(await draw(7))
  expect(await draw(7)).not.toEqual(await draw(8))
})
