/** The pseudonyms of a store, for names that the store itself does not know. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createPseudonyms, messageOf, type Pseudonyms, SwarmatlasError } from '@swarmatlas/core'

/** Of a store that is open: opening makes the key where there is none. */
export async function storePseudonyms(dir: string): Promise<Pseudonyms> {
  const path = join(dir, 'study.key')
  try {
    return createPseudonyms(await readFile(path))
  } catch (error) {
    throw new SwarmatlasError('STORE_CORRUPT', `cannot read the study key ${path}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}
