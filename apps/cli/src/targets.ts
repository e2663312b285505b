/** Targets as a user gives them: an argument, a file, a list file, standard input. */
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import {
  codeOf,
  limits,
  looksLikePath,
  messageOf,
  parseTarget,
  parseTargetList,
  SwarmatlasError,
  type Target,
  targetFromTorrentFile,
} from '@swarmatlas/core'

/** One target: a magnet, an info-hash, a path to a .torrent file, or `-` for standard input. */
export async function readTarget(text: string): Promise<Target> {
  if (text === '-') return readTarget(await readStandardInput())
  if (looksLikePath(text)) return readTorrentFile(text)
  return parseTarget(text)
}

/** A list file: a target a line. Paths in it are taken from the list's folder. */
export async function readTargetList(path: string): Promise<Target[]> {
  const text = path === '-' ? await readStandardInput() : (await read(path, 'list')).toString('utf8')
  let entries: ReturnType<typeof parseTargetList>
  try {
    entries = parseTargetList(text)
  } catch (error) {
    if (!(error instanceof SwarmatlasError)) throw error
    throw new SwarmatlasError(error.code, `${path}: ${error.message}`, {
      cause: error,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    })
  }
  if (entries.length === 0) throw new SwarmatlasError('BAD_TARGET', `${path}: the list names no target`)
  const folder = path === '-' ? '.' : dirname(path)
  return Promise.all(
    entries.map((entry) => (entry.kind === 'target' ? entry.target : readTorrentFile(resolve(folder, entry.path)))),
  )
}

async function readTorrentFile(path: string): Promise<Target> {
  return targetFromTorrentFile(await read(path, '.torrent'), path)
}

async function read(path: string, kind: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    const why: Record<string, string> = {
      ENOENT: 'there is no such file',
      EACCES: 'it may not be read',
      EISDIR: 'it is a directory',
    }
    throw new SwarmatlasError(
      'BAD_TARGET',
      `cannot read the ${kind} file ${path}: ${why[codeOf(error) ?? ''] ?? messageOf(error)}`,
      {
        cause: error,
      },
    )
  }
}

async function readStandardInput(): Promise<string> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of process.stdin) {
    parts.push(part as Buffer)
    length += (part as Buffer).length
    if (length > limits.torrentFileBytes)
      throw new SwarmatlasError('BAD_TARGET', 'standard input: too long for a target')
  }
  const text = Buffer.concat(parts).toString('utf8').trim()
  if (text === '') throw new SwarmatlasError('BAD_TARGET', 'standard input: no target came')
  return text
}
