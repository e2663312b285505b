/** The announce journal: what must be known after a crash, and by the next process. */
import { AnnounceHistory, type JournalRecord } from './announce-history.ts'
import type { ProcessMark } from './process-mark.ts'

export interface TrackerJournal {
  /** The process that writes here now. */
  readonly owner: ProcessMark
  /** True when the process has ended, so that what it left open is owed by us. */
  isGone(owner: ProcessMark): boolean
  /** All that is known; what other processes wrote since is read first. */
  load(): Promise<AnnounceHistory>
  /** Once resolved, the record outlives this process. */
  append(record: JournalRecord): Promise<void>
  /** Idempotent. */
  close(): Promise<void>
}

/** A journal that is lost with the process: for tests, and for those who want nothing written. */
export function memoryJournal(): TrackerJournal {
  const history = new AnnounceHistory()
  return {
    owner: 'memory',
    isGone: (owner) => owner !== 'memory',
    load: async () => history,
    append: async (record) => history.apply(record),
    close: async () => {},
  }
}
