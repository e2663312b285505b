/** The parts of an open store, as rounds write and queries read them. */
import type { AddressBook } from './address-book.ts'
import { Dictionary } from './dictionary.ts'
import type { LevelStore } from './level-store.ts'
import { keys, ranges } from './schema.ts'
import { Torrents } from './torrents.ts'

export interface Facts {
  readonly store: LevelStore
  readonly book: AddressBook
  readonly wires: Dictionary
  readonly trackers: Dictionary
  readonly torrents: Torrents
}

export function createFacts(store: LevelStore, book: AddressBook): Facts {
  const wires = new Dictionary(store, { numberKey: keys.wire, textKey: keys.wireName, texts: ranges.wireNames })
  const trackers = new Dictionary(store, {
    numberKey: keys.tracker,
    textKey: keys.trackerName,
    texts: ranges.trackerNames,
  })
  return { store, book, wires, trackers, torrents: new Torrents(store, wires) }
}
