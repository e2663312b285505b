/**
 * `holder.json`: who has the store open, for the message that the next one gets. LevelDB's own lock is what counts: a
 * file that a crash left behind locks nobody out.
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { SwarmatlasError } from '@swarmatlas/core'

export interface Holder {
  readonly pid: number
  readonly host: string
  readonly command: string
  readonly startedMs: number
}

export const holderName = 'holder.json'

export async function writeHolder(
  dir: string,
  { command, startedMs }: Pick<Holder, 'command' | 'startedMs'>,
): Promise<void> {
  const holder: Holder = { pid: process.pid, host: hostname(), command, startedMs }
  const temporary = join(dir, `${holderName}.new`)
  await writeFile(temporary, `${JSON.stringify(holder)}\n`)
  await rename(temporary, join(dir, holderName))
}

export async function removeHolder(dir: string): Promise<void> {
  await rm(join(dir, holderName), { force: true })
}

/** The error for a store that another opener holds. */
export async function lockedError(dir: string): Promise<SwarmatlasError> {
  let who = 'another process'
  try {
    const { pid, host, command, startedMs } = JSON.parse(await readFile(join(dir, holderName), 'utf8')) as Holder
    who = `process ${pid} (${command}) on ${host} since ${new Date(startedMs).toISOString()}`
  } catch {
    // It opened the store a moment ago, or writes no such file.
  }
  return new SwarmatlasError('STORE_LOCKED', `the store is held by ${who}: ${dir}`, {
    hint: 'only one process can open a store: wait for it, stop it, or use another store (--store)',
  })
}
