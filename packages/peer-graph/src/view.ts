/** One consistent view of the store, unmoved by what is written meanwhile. The address book needs none: its rows never change. */
import type { Facts } from './facts.ts'
import type { LevelStore, Snapshot } from './level-store.ts'
import { type RoundRow, readRound } from './rounds.ts'
import { openRoundName } from './shelf.ts'

/** The rows of a round that is not sealed. Without a snapshot where nobody writes to it any more. */
export interface OpenRows {
  readonly store: LevelStore
  readonly snapshot?: Snapshot | undefined
}

export interface View extends Facts {
  readonly snapshot?: Snapshot | undefined
  readonly open: ReadonlyMap<number, OpenRows>
  /** Kept for the life of the view. */
  round(number: number): Promise<RoundRow | undefined>
}

/** For maintenance, while nothing else writes: sees each write at once. */
export function currentView(facts: Facts, open: ReadonlyMap<number, OpenRows> = new Map()): View {
  return { ...facts, open, round: (number) => readRound(facts.store, number) }
}

export async function withView<T>(facts: Facts, ask: (view: View) => Promise<T>): Promise<T> {
  const { view, close } = await openView(facts)
  try {
    return await ask(view)
  } finally {
    await close()
  }
}

export async function* streamView<T>(facts: Facts, ask: (view: View) => AsyncGenerator<T>): AsyncGenerator<T> {
  const { view, close } = await openView(facts)
  try {
    yield* ask(view)
  } finally {
    await close()
  }
}

async function openView(facts: Facts): Promise<{ view: View; close(): Promise<void> }> {
  const { shelf, store } = facts
  const reader = shelf.enter()
  const snapshots: Snapshot[] = []
  const close = async () => {
    for (const snapshot of snapshots) await snapshot.close()
    shelf.leave(reader)
  }
  try {
    // Rows before facts: what the rows refer to was written before them.
    const open = new Map<number, OpenRows>()
    for (const number of [...facts.openRounds]) {
      const rows = await shelf.store(openRoundDir(number))
      const snapshot = await rows.snapshot()
      snapshots.push(snapshot)
      open.set(number, { store: rows, snapshot })
    }
    const snapshot = await store.snapshot()
    snapshots.push(snapshot)
    const rounds = new Map<number, Promise<RoundRow | undefined>>()
    const round = (number: number) => {
      let row = rounds.get(number)
      if (row === undefined) {
        row = readRound(store, number, snapshot)
        rounds.set(number, row)
      }
      return row
    }
    return { view: { ...facts, snapshot, open, round }, close }
  } catch (error) {
    await close()
    throw error
  }
}

export function openRoundDir(number: number): string {
  return `open-${number}`
}

/** The round whose rows a directory holds. */
export function roundOfDir(name: string): number | undefined {
  const match = openRoundName.exec(name)
  return match === null ? undefined : Number(match[1])
}
