import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SwarmatlasError } from '@swarmatlas/core'
import { describe, expect, it } from 'vitest'
import { crc32c } from '../src/checksum.ts'
import { uncompressSnappy } from '../src/snappy.ts'
import { tableDamage } from '../src/table-file.ts'
import { collect, openStore, temporaryDir } from './fixtures.ts'
import { answersOf, seeded, writeRounds } from './loads.ts'

async function tablesIn(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  return entries.filter(({ name }) => name.endsWith('.ldb')).map(({ parentPath, name }) => join(parentPath, name))
}

/** A closed store whose rows all stand in tables. */
async function storeOfTables(compression: boolean): Promise<string> {
  const graph = await openStore({ compression })
  await writeRounds(graph, 2, 400)
  await graph.close()
  const again = await openStore({ dir: graph.dir, create: false, compression })
  await answersOf(again)
  await again.close()
  return graph.dir
}

describe('a flipped bit', () => {
  it.each([true, false])('anywhere in a table file is seen by its checksums (compression %s)', async (compression) => {
    const tables = await tablesIn(await storeOfTables(compression))
    expect(tables.length).toBeGreaterThan(2)
    const next = seeded(5)
    for (const path of tables) {
      const file = await readFile(path)
      expect(tableDamage(file)).toBeUndefined()
      for (let n = 0; n < 60; n++) {
        // The ends, where index and footer stand, more often.
        const at = n < 30 ? next(file.length) : file.length - 1 - next(Math.min(120, file.length))
        const bit = 1 << next(8)
        file.writeUInt8(file.readUInt8(at) ^ bit, at)
        expect([path, at, tableDamage(file)]).toEqual([path, at, expect.any(String)])
        file.writeUInt8(file.readUInt8(at) ^ bit, at)
      }
      for (let n = 0; n < 20; n++) expect(tableDamage(file.subarray(0, next(file.length)))).toBeDefined()
    }
  })

  it('is reported by verify, and never makes an answer silently shorter', { timeout: 60_000 }, async () => {
    const whole = await storeOfTables(false)
    const reference = await openStore({ dir: whole, create: false })
    const answers = await answersOf(reference)
    await reference.close()
    const next = seeded(11)
    let refused = 0
    for (const name of (await tablesIn(whole)).map((path) => path.slice(whole.length))) {
      for (let n = 0; n < 2; n++) {
        const dir = await temporaryDir()
        await cp(whole, dir, { recursive: true })
        const path = join(dir, name)
        const file = await readFile(path)
        const at = next(file.length - 60)
        file.writeUInt8(file.readUInt8(at) ^ 0x10, at)
        await writeFile(path, file)
        const open = async () => openStore({ dir, create: false, compression: false })
        if (name.startsWith('/facts') || name.startsWith('/open')) {
          const failed = expect(open()).rejects
          await failed.toMatchObject({ code: 'STORE_CORRUPT', message: expect.stringContaining(path) })
          continue
        }
        try {
          const graph = await open()
          const damage = await collect(graph.verify())
          expect([name, at, damage.map((found) => found.path)]).toEqual([name, at, expect.arrayContaining([path])])
          expect([name, at, await answersOf(graph)]).toEqual([name, at, answers])
        } catch (error) {
          if (!(error instanceof SwarmatlasError)) throw error
          expect(error.code).toBe('STORE_CORRUPT')
          refused++
        }
      }
    }
    expect(refused).toBeGreaterThan(0)
  })
})

describe('checksums', () => {
  it('are CRC-32C (RFC 3720, B.4)', () => {
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43)
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e)
    const bytes = Buffer.from('123456789')
    expect(crc32c(bytes)).toBe(0xe3069283)
    for (let cut = 0; cut <= 9; cut++)
      expect(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut)))).toBe(0xe3069283)
  })
})

describe('Snappy', () => {
  it('is uncompressed: literals, copies, copies that overlap themselves', () => {
    // 5 literal bytes, then 15 more of them from 5 back.
    expect(uncompressSnappy(Buffer.from([20, 4 << 2, ...Buffer.from('abcde'), (14 << 2) | 2, 5, 0])).toString()).toBe(
      'abcde'.repeat(4),
    )
    expect(uncompressSnappy(Buffer.from([8, 0, 0x61, (3 << 2) | 1, 1])).toString()).toBe('a'.repeat(8))
  })

  it.each([[[]], [[5]], [[5, 16, 1]], [[4, 1, 9]], [[255, 255, 255, 255, 255, 255]], [[200, 0, 1]]])(
    'of nonsense %j is refused',
    (bytes) => {
      expect(() => uncompressSnappy(Uint8Array.from(bytes))).toThrow(RangeError)
    },
  )
})
