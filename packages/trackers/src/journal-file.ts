/**
 * The announce journal in a file: append-only JSON lines, written by several processes at once (one write a line,
 * O_APPEND). The file is readable by its owner alone (mode 0600): tracker URLs hold passkeys, and without them no
 * `stopped` could be sent.
 *
 * Compaction replaces the file while others may be writing to it. No record is lost, because
 * - whoever appends looks afterwards whether the path still names the file it wrote to, and else writes again;
 * - whoever compacts copies, after the rename, what was appended to the old file meanwhile.
 * Records may come twice by this; applying one twice changes nothing.
 */
import { type FileHandle, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Clock, codeOf, limits, messageOf, SwarmatlasError } from '@swarmatlas/core'
import { AnnounceHistory, type JournalRecord } from './announce-history.ts'
import type { TrackerJournal } from './journal.ts'
import { formatLine, parseLine } from './journal-lines.ts'
import { isGone, markOf, type ProcessMark } from './process-mark.ts'

export interface TrackerJournalOptions {
  /** Its directory is made when missing. */
  path: string
  clock: Pick<Clock, 'now'>
  pid: number
  isAlive(pid: number): boolean
}

/** Opens or makes the journal; compacts it when it is large. */
export async function openTrackerJournal(options: TrackerJournalOptions): Promise<TrackerJournal> {
  try {
    await mkdir(dirname(options.path), { recursive: true, mode: 0o700 })
    const journal = new FileJournal(options, await openLines(options.path))
    await journal.load()
    return journal
  } catch (error) {
    throw new SwarmatlasError('WRITE_FAILED', `the announce journal ${options.path} cannot be opened`, { cause: error })
  }
}

const NEWLINE = 0x0a
const PRIVATE_MODE = 0o600

function openLines(path: string): Promise<FileHandle> {
  return open(path, 'a+', PRIVATE_MODE)
}

class FileJournal implements TrackerJournal {
  readonly owner: ProcessMark
  readonly #options: TrackerJournalOptions
  #file: FileHandle
  #history = new AnnounceHistory()
  /** Bytes of the file that are in the history: whole lines. */
  #readTo = 0
  #compactAbove: number = limits.trackerJournalBytes
  /** Operations run one after another. */
  #last: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor(options: TrackerJournalOptions, file: FileHandle) {
    this.#options = options
    this.#file = file
    this.owner = markOf(options.pid)
  }

  isGone(owner: ProcessMark): boolean {
    return owner !== this.owner && isGone(owner, this.#options.isAlive)
  }

  load(): Promise<AnnounceHistory> {
    return this.#inTurn(async () => {
      if (await this.#wasReplaced()) await this.#reopen()
      await this.#readOn()
      if (this.#readTo > this.#compactAbove) await this.#compact()
      return this.#history
    })
  }

  append(record: JournalRecord): Promise<void> {
    return this.#inTurn(async () => {
      const line = formatLine(record)
      await this.#file.write(line)
      while (await this.#wasReplaced()) {
        await this.#reopen()
        await this.#file.write(line)
      }
    })
  }

  async close(): Promise<void> {
    await this.#last
    if (this.#closed) return
    this.#closed = true
    await this.#file.close()
  }

  #inTurn<T>(operation: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(() => {
      if (this.#closed) throw new SwarmatlasError('WRITE_FAILED', 'the announce journal is closed')
      return operation().catch((error) => {
        throw new SwarmatlasError('WRITE_FAILED', `the announce journal fails: ${messageOf(error)}`, { cause: error })
      })
    })
    this.#last = turn.catch(() => {})
    return turn
  }

  async #wasReplaced(): Promise<boolean> {
    const [ours, named] = await Promise.all([
      this.#file.stat(),
      stat(this.#options.path).catch((error) => (codeOf(error) === 'ENOENT' ? undefined : Promise.reject(error))),
    ])
    return named === undefined || named.ino !== ours.ino || named.dev !== ours.dev
  }

  async #reopen(): Promise<void> {
    const old = this.#file
    this.#file = await openLines(this.#options.path)
    this.#history = new AnnounceHistory()
    this.#readTo = 0
    await old.close()
  }

  /** Applies the whole lines behind what was read before. */
  async #readOn(): Promise<void> {
    const fresh = await readFrom(this.#file, this.#readTo)
    const end = fresh.lastIndexOf(NEWLINE) + 1
    for (const line of fresh.toString('utf8', 0, end).split('\n')) {
      const record = line === '' ? undefined : parseLine(line)
      if (record !== undefined) this.#history.apply(record)
    }
    this.#readTo += end
  }

  async #compact(): Promise<void> {
    const { path, clock } = this.#options
    const lines = this.#history.records(clock.now()).map(formatLine).join('')
    this.#compactAbove = Math.max(limits.trackerJournalBytes, 2 * Buffer.byteLength(lines))
    // It is the lock as well: two compactions at once would lose what is written between their renames.
    const temporary = `${path}.compacting`
    const next = await this.#openTemporary(temporary)
    if (next === undefined) return
    const old = this.#file
    try {
      await next.appendFile(lines)
      if (await this.#wasReplaced()) throw new Error('another process compacted it')
      await rename(temporary, path)
    } catch {
      // Disk full, say. The journal is as good as before.
      await next.close()
      await rm(temporary, { force: true })
      return
    }
    const late = await readFrom(old, this.#readTo)
    this.#file = next
    this.#history = new AnnounceHistory()
    this.#readTo = 0
    await next.appendFile(late)
    await old.close()
    await this.#readOn()
  }

  /** A file of our own, or undefined while a living process is compacting. */
  async #openTemporary(temporary: string): Promise<FileHandle | undefined> {
    for (let tries = 0; tries < 2; tries++) {
      try {
        const file = await open(temporary, 'ax+', PRIVATE_MODE)
        // Names who is at it; as a line it is no record.
        await file.write(`${JSON.stringify(this.owner)}\n`)
        return file
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') return undefined
      }
      const [mark = ''] = (await readFile(temporary, 'utf8').catch(() => '')).split('\n')
      const owner = mark.slice(1, -1)
      if (owner === '' || !isGone(owner, this.#options.isAlive)) return undefined
      await rm(temporary, { force: true })
    }
    return undefined
  }
}

async function readFrom(file: FileHandle, position: number): Promise<Buffer> {
  const { size } = await file.stat()
  const bytes = Buffer.alloc(Math.max(size - position, 0))
  const { bytesRead } = await file.read(bytes, 0, bytes.length, position)
  return bytes.subarray(0, bytesRead)
}
