/**
 * The study key: 32 random bytes in `study.key` (mode 0600), with which pseudonyms are made (core's pseudonym.ts). Who holds it can link a pseudonym to an address that he guesses; once it is destroyed, nobody can.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf, createPseudonyms, type Endpoint, limits, type Pseudonyms, prefixOf } from '@swarmatlas/core'
import { damagedError, storeError } from './store-errors.ts'

export const studyKeyName = 'study.key'

export class StudyKey {
  readonly #dir: string
  #key: Buffer
  #pseudonyms: Pseudonyms

  private constructor(dir: string, key: Buffer) {
    this.#dir = dir
    this.#key = key
    this.#pseudonyms = createPseudonyms(key)
  }

  /** Makes the key where there is none. */
  static async open(dir: string): Promise<StudyKey> {
    const path = join(dir, studyKeyName)
    try {
      const key = await readFile(path).catch((error) => {
        if (codeOf(error) === 'ENOENT') return createKey(dir)
        throw error
      })
      if (key.length !== limits.studyKeyBytes) throw damagedError(path, `a study key has ${limits.studyKeyBytes} bytes`)
      return new StudyKey(dir, key)
    } catch (error) {
      throw storeError(dir, error)
    }
  }

  /** Which key it is, without telling it: tokens of different keys must not be compared. */
  get id(): string {
    return createHash('sha256').update('swarmatlas key id').update(this.#key).digest('hex').slice(0, 8)
  }

  /** 32 hex digits, the same for the same endpoint. */
  pseudonym(endpoint: Endpoint): string {
    return this.#pseudonyms.ofEndpoint(endpoint)
  }

  /** 40 bits that are the same for addresses of one network (/24 or /48); never 0. */
  networkToken(address: string): number {
    const digest = createHmac('sha256', this.#key)
      .update(`network ${prefixOf(address)}`)
      .digest()
    return digest.readUIntBE(0, 5) || 1
  }

  /** Overwrites and removes the key. What is met from now on gets pseudonyms of a new one. */
  async destroy(): Promise<void> {
    const path = join(this.#dir, studyKeyName)
    try {
      const file = await open(path, 'r+')
      try {
        await file.write(randomBytes(limits.studyKeyBytes), 0, limits.studyKeyBytes, 0)
        await file.sync()
      } finally {
        await file.close()
      }
      await rm(path)
      this.#key = await createKey(this.#dir)
      this.#pseudonyms = createPseudonyms(this.#key)
    } catch (error) {
      throw storeError(this.#dir, error)
    }
  }
}

async function createKey(dir: string): Promise<Buffer> {
  // A secret: not from a seeded source of randomness.
  const key = randomBytes(limits.studyKeyBytes)
  const temporary = join(dir, `${studyKeyName}.new`)
  await rm(temporary, { force: true })
  await writeFile(temporary, key, { mode: 0o600, flush: true } as Parameters<typeof writeFile>[2])
  await rename(temporary, join(dir, studyKeyName))
  return key
}
