export { memoryJournal, type TrackerJournal } from './journal.ts'
export { openTrackerJournal, type TrackerJournalOptions } from './journal-file.ts'
export {
  type AnnounceResult,
  createTrackerClient,
  type TrackerClient,
  type TrackerClientComponents,
  type TrackerClientOptions,
} from './tracker-client.ts'
