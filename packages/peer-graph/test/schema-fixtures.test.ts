/**
 * Stores as earlier versions wrote them, in test/fixtures/schema-<n>, with what they answered. A new schema comes with a
 * store of its own, made by SWARMATLAS_WRITE_FIXTURE=1, and leaves the older ones as they are: they must open for ever.
 */
import { existsSync } from 'node:fs'
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Level } from 'level'
import { describe, expect, it } from 'vitest'
import { schemaVersion } from '../src/schema.ts'
import { round } from './facts-of.ts'
import { collect, openStore, temporaryDir } from './fixtures.ts'
import { answersOf, writeFacts, writeRounds } from './loads.ts'

const fixtures = fileURLToPath(new URL('fixtures/', import.meta.url))
const { SWARMATLAS_WRITE_FIXTURE } = process.env as { SWARMATLAS_WRITE_FIXTURE?: string }

async function writeFixture(): Promise<void> {
  const target = join(fixtures, `schema-${schemaVersion}`)
  const graph = await openStore()
  await writeRounds(graph, 2, 60)
  // An open round, too: cut short.
  const writer = await graph.startRound(round)
  await writeFacts(writer, 3, 30)
  await graph.close()
  const again = await openStore({ dir: graph.dir, create: false })
  const answers = await answersOf(again)
  await again.close()
  await rm(target, { recursive: true, force: true })
  await mkdir(target, { recursive: true })
  await cp(graph.dir, join(target, 'store'), {
    recursive: true,
    filter: (path) => !/\/(LOG|LOG\.old|LOCK)$/.test(path),
  })
  await writeFile(join(target, 'answers.json'), `${JSON.stringify(answers, null, 1)}\n`)
}

const versions = (await readdir(fixtures).catch(() => []))
  .map((name) => Number(/^schema-(\d+)$/.exec(name)?.[1]))
  .filter(Boolean)

it.runIf(SWARMATLAS_WRITE_FIXTURE === '1')('a fixture is written', writeFixture)

describe('a store of schema', () => {
  it(`${schemaVersion} is among those that are kept`, () => {
    expect(existsSync(join(fixtures, `schema-${schemaVersion}`))).toBe(true)
  })

  it.each(versions)('%i answers as it did, is whole, and takes new rounds', async (version) => {
    const dir = join(await temporaryDir(), 'store')
    await cp(join(fixtures, `schema-${version}`, 'store'), dir, { recursive: true })
    const graph = await openStore({ dir, create: false })
    const answers = JSON.parse(await readFile(join(fixtures, `schema-${version}`, 'answers.json'), 'utf8'))
    expect(await answersOf(graph)).toEqual(answers)
    expect(await collect(graph.verify())).toEqual([])
    await writeRounds(graph, 1, 60)
    await graph.close()
    const again = await openStore({ dir, create: false })
    expect(await collect(again.rounds())).toHaveLength(4)
    expect(await collect(again.verify())).toEqual([])
  })

  it('1, from before there were checksums, is refused with what to do', async () => {
    const dir = await temporaryDir()
    const facts = new Level<Buffer, Buffer>(join(dir, 'facts'), { keyEncoding: 'buffer', valueEncoding: 'buffer' })
    await facts.put(Buffer.from('\0schema'), Buffer.from('1'))
    await facts.close()
    await expect(openStore({ dir, create: false })).rejects.toMatchObject({
      code: 'STORE_SCHEMA',
      message: expect.stringMatching(/schema 1.*schema 2/),
      hint: expect.stringContaining('map again'),
    })
  })
})
