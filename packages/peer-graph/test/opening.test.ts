import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import { describe, expect, it } from 'vitest'
import { A, byPex, collect, end, openStore, round, temporaryDir } from './fixtures.ts'

describe('opening a store', () => {
  it('that is not there fails unless it may be made', async () => {
    const dir = join(await temporaryDir(), 'none')
    const failed = expect(openStore({ dir, create: false })).rejects
    await failed.toMatchObject({ code: 'STORE_NOT_FOUND', hint: expect.any(String) })
    await failed.toThrow(dir)
    await openStore({ dir })
  })

  it('in a directory of other files is refused, and nothing is written there', async () => {
    const dir = await temporaryDir()
    await writeFile(join(dir, 'thesis.tex'), 'x')
    await expect(openStore({ dir })).rejects.toMatchObject({
      code: 'STORE_NOT_FOUND',
      message: expect.stringContaining('thesis.tex'),
    })
    expect(await readdir(dir)).toEqual(['thesis.tex'])
    await expect(openStore({ dir: join(dir, 'thesis.tex') })).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' })
  })

  it('that is open already names who holds it, and leaves them undisturbed', async () => {
    const graph = await openStore({ command: 'swarmatlas peers' })
    const open = () => openStore({ dir: graph.dir, create: false })
    await expect(open()).rejects.toMatchObject({
      code: 'STORE_LOCKED',
      message: expect.stringMatching(
        new RegExp(`process ${process.pid} \\(swarmatlas peers\\) on ${hostname()} since 2026-`),
      ),
      hint: expect.any(String),
    })
    const writer = await graph.startRound(round)
    await expect(open()).rejects.toThrow('(swarmatlas map)')
    writer.observation(A, byPex('198.51.100.1:1', '203.0.113.5:1'))
    await writer.seal(end)
    await graph.close()
    expect(await collect((await open()).peers({}))).toHaveLength(1)
  })

  it('is not hindered by the holder file of a process that died', async () => {
    const graph = await openStore()
    await graph.close()
    expect(await readdir(graph.dir)).not.toContain('holder.json')
    await writeFile(join(graph.dir, 'holder.json'), '{"pid":1,"host":"x","command":"y","startedMs":0}')
    const again = await openStore({ dir: graph.dir, create: false })
    expect(JSON.parse(await readFile(join(graph.dir, 'holder.json'), 'utf8'))).toMatchObject({ pid: process.pid })
    await again.close()
  })

  it('of a newer schema is refused, with both versions named', async () => {
    const graph = await openStore()
    await graph.close()
    const facts = new Level<Buffer, Buffer>(join(graph.dir, 'facts'), {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
    })
    await facts.put(Buffer.from('\0schema'), Buffer.from('99'))
    await facts.close()
    for (const create of [true, false]) {
      await expect(openStore({ dir: graph.dir, create })).rejects.toMatchObject({
        code: 'STORE_SCHEMA',
        message: expect.stringMatching(/schema 99.*schema 2/),
      })
    }
  })

  it('whose LevelDB another program made is refused and left as it was', async () => {
    const dir = await temporaryDir()
    const other = new Level(join(dir, 'facts'))
    await other.put('mine', 'x')
    await other.close()
    await expect(openStore({ dir })).rejects.toMatchObject({ code: 'STORE_SCHEMA' })
    await other.open()
    expect(await other.keys().all()).toEqual(['mine'])
    await other.close()
  })

  it('whose first opening was cut short begins anew', async () => {
    const dir = await temporaryDir()
    await mkdir(join(dir, 'facts'))
    await expect(openStore({ dir, create: false })).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' })
    await openStore({ dir })
  })

  it.each(['facts', 'book-2026-W47'])('with a damaged %s says which directory is damaged', async (part) => {
    const graph = await openStore()
    const writer = await graph.startRound(round)
    writer.observation(A, byPex('198.51.100.1:1', '203.0.113.5:1'))
    await writer.seal(end)
    await graph.close()
    const damaged = join(graph.dir, part)
    for (const name of await readdir(damaged)) if (/MANIFEST/.test(name)) await truncate(join(damaged, name), 9)
    const read = async () => collect((await openStore({ dir: graph.dir, create: false })).peers({}))
    await expect(read()).rejects.toMatchObject({ code: 'STORE_CORRUPT', message: expect.stringContaining(damaged) })
  })

  it('twice closed is closed; afterwards nothing can be read or written', async () => {
    const graph = await openStore()
    const writer = await graph.startRound(round)
    await Promise.all([graph.close(), graph.close()])
    await expect(graph.startRound(round)).rejects.toMatchObject({ code: 'WRITE_FAILED' })
    await expect(collect(graph.peers({}))).rejects.toMatchObject({ code: 'WRITE_FAILED' })
    writer.observation(A, byPex('198.51.100.1:1', '203.0.113.5:1'))
    for (let i = 0; i < 2; i++) await expect(writer.flush()).rejects.toMatchObject({ code: 'WRITE_FAILED' })
    await (await openStore({ dir: graph.dir, create: false })).close()
  })
})
