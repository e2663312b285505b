/** The parts of an open store, as rounds write and queries read them. */
import type { AddressBook } from './address-book.ts'
import { Dictionary } from './dictionary.ts'
import type { LevelStore } from './level-store.ts'
import { keys, ranges } from './schema.ts'
import type { Shelf } from './shelf.ts'
import type { StudyKey } from './study-key.ts'
import { Torrents } from './torrents.ts'

export interface Facts {
  readonly store: LevelStore
  readonly book: AddressBook
  readonly shelf: Shelf
  readonly key: StudyKey
  readonly wires: Dictionary
  readonly trackers: Dictionary
  /** Places, as JSON. */
  readonly places: Dictionary
  readonly torrents: Torrents
  /** Rounds whose rows are not sealed: being written, or cut short. */
  readonly openRounds: Set<number>
}

export function createFacts(parts: Pick<Facts, 'store' | 'book' | 'shelf' | 'key'>): Facts {
  const { store } = parts
  const wires = new Dictionary(store, { numberKey: keys.wire, textKey: keys.wireName, texts: ranges.wireNames })
  const trackers = new Dictionary(store, {
    numberKey: keys.tracker,
    textKey: keys.trackerName,
    texts: ranges.trackerNames,
  })
  const places = new Dictionary(store, { numberKey: keys.place, textKey: keys.placeName, texts: ranges.placeNames })
  return { ...parts, wires, trackers, places, torrents: new Torrents(store, wires), openRounds: new Set() }
}
