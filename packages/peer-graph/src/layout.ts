/** The directory of a store: what stands in it, and whether it is ours. */
import { mkdir, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf, SwarmatlasError } from '@swarmatlas/core'
import { bookName, unfinishedBookName } from './address-book.ts'
import { holderName } from './holder.ts'
import { fromJson, toJson } from './json-row.ts'
import type { LevelStore } from './level-store.ts'
import { keys, schemaVersion } from './schema.ts'
import { openRoundName, sealedWeekName } from './shelf.ts'
import { ballastName } from './space.ts'
import { storeError } from './store-errors.ts'
import { studyKeyName } from './study-key.ts'

export function factsDir(dir: string): string {
  return join(dir, 'facts')
}

/** Makes sure that `dir` is a store, or may become one. Writes nothing but the directory itself. */
export async function prepareDirectory(dir: string, create: boolean): Promise<void> {
  const names = await listing(dir)
  // LevelDB writes CURRENT last: without it a first opening was cut short.
  if (names !== undefined && (await exists(join(factsDir(dir), 'CURRENT')))) return
  if (!create) {
    throw new SwarmatlasError('STORE_NOT_FOUND', `no store at ${dir}`, {
      hint: 'name its directory with --store, or make one with `swarmatlas map`',
    })
  }
  const foreign = (names ?? []).filter((name) => !isOurs(name))
  if (foreign.length > 0) {
    const shown = foreign.slice(0, 3).join(', ')
    throw new SwarmatlasError('STORE_NOT_FOUND', `${dir} is no store, but holds other files (${shown})`, {
      hint: 'name a new or empty directory with --store',
    })
  }
  try {
    await mkdir(dir, { recursive: true })
  } catch (error) {
    throw storeError(dir, error)
  }
}

/** Brings a store from one schema to the next; the key is the older one. Each is tested on the store in test/fixtures. */
const migrations: Readonly<Record<number, (store: LevelStore) => Promise<void>>> = {}

/** Refuses a schema that this version does not know; brings older ones up to date; gives an empty store this one. */
export async function checkSchema(store: LevelStore): Promise<void> {
  const key = keys.meta('schema')
  const value = await store.getAged(key)
  if (value === undefined) {
    if (!(await store.isEmpty())) {
      throw new SwarmatlasError('STORE_SCHEMA', `${store.dir} is a LevelDB of another program`, {
        hint: 'name a new or empty directory with --store',
      })
    }
    return store.write([[key, toJson(schemaVersion)]], { sync: true })
  }
  let found = fromJson<number>(value, 'a schema version')
  for (let next = migrations[found]; next !== undefined && found < schemaVersion; next = migrations[found]) {
    await next(store)
    await store.write([[key, toJson(++found)]], { sync: true })
  }
  if (found === schemaVersion) return
  throw new SwarmatlasError(
    'STORE_SCHEMA',
    `the store has schema ${found}, this version of swarmatlas reads schema ${schemaVersion}: ${store.dir}`,
    {
      hint:
        found < schemaVersion
          ? 'open it with the version of swarmatlas that wrote it, and map again into a new store (--store)'
          : 'open it with the version of swarmatlas that wrote it, or a later one',
    },
  )
}

function isOurs(name: string): boolean {
  const patterns = [bookName, unfinishedBookName, openRoundName, sealedWeekName]
  const prefixes = [holderName, studyKeyName]
  return (
    name === 'facts' ||
    name === ballastName ||
    prefixes.some((prefix) => name.startsWith(prefix)) ||
    patterns.some((pattern) => pattern.test(name))
  )
}

async function listing(dir: string): Promise<string[] | undefined> {
  try {
    return await readdir(dir)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    if (codeOf(error) === 'ENOTDIR') {
      throw new SwarmatlasError('STORE_NOT_FOUND', `${dir} is a file; a store is a directory`, {
        cause: error,
        hint: 'name a directory with --store',
      })
    }
    throw storeError(dir, error)
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
