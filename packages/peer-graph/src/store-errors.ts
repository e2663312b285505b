/** LevelDB's errors, told in the user's terms. */
import { codeOf, messageOf, SwarmatlasError } from '@swarmatlas/core'

const damagedHint = 'restore the directory from a backup, or map again into a new store (--store)'

/** What a failed open, read or write of the LevelDB in `dir` means. */
export function storeError(dir: string, error: unknown): SwarmatlasError {
  if (error instanceof SwarmatlasError) return error
  // A failed open wraps its reason.
  const cause = codeOf(error) === 'LEVEL_DATABASE_NOT_OPEN' ? ((error as Error).cause ?? error) : error
  const message = messageOf(cause)
  // LevelDB reports a missing file as an I/O error, a wrong one as corruption.
  if (codeOf(cause) === 'LEVEL_CORRUPTION' || /no such file|does not exist/i.test(message)) {
    return damagedError(dir, message, error)
  }
  if (codeOf(cause) === 'ENOSPC' || /no space left|not enough space|quota exceeded/i.test(message)) {
    return new SwarmatlasError('STORE_FULL', `no space left for the store: ${dir}`, {
      cause: error,
      hint: 'free some space on that disk; what was written before is safe',
    })
  }
  const denied = /EACCES|EPERM|EROFS|permission denied|read-only/i.test(`${codeOf(cause)} ${message}`)
  return new SwarmatlasError('WRITE_FAILED', `the store cannot be used: ${dir}: ${message}`, {
    cause: error,
    ...(denied ? { hint: 'its files and directories must be writable by this user' } : {}),
  })
}

export function isLocked(error: unknown): boolean {
  return codeOf((error as { cause?: unknown }).cause) === 'LEVEL_LOCKED'
}

export function damagedError(dir: string, what: string, cause?: unknown): SwarmatlasError {
  return new SwarmatlasError('STORE_CORRUPT', `the store is damaged: ${dir}: ${what}`, { cause, hint: damagedHint })
}

/** A row that LevelDB gave back whole and that still makes no sense. */
export function corruptRow(what: string): SwarmatlasError {
  return new SwarmatlasError('STORE_CORRUPT', `the store holds ${what} that cannot be read`, { hint: damagedHint })
}
