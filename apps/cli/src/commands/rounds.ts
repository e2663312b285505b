/** `swarmatlas rounds`: the rounds in a store. */
import { printable } from '@swarmatlas/core'
import type { RoundSummary } from '@swarmatlas/peer-graph'
import { exitCodes } from '../exit-codes.ts'
import type { OutputOptions } from '../options.ts'
import { print, printJson } from '../output.ts'
import { number, seconds, utc } from '../quantities.ts'
import { openStore } from '../store.ts'
import { type Column, columnsOf, styleFor, table } from '../terminal.ts'

const COLUMNS: readonly Column[] = [
  { head: 'round', align: 'right' },
  { head: 'started' },
  { head: 'took', align: 'right' },
  { head: 'ended by' },
  { head: 'swarms', align: 'right' },
  { head: 'peers', align: 'right' },
  { head: 'observations', align: 'right' },
  { head: 'from', shrinks: true, min: 8 },
]

export async function rounds(options: OutputOptions & { store: string }): Promise<number> {
  await using store = await openStore(options.store, 'rounds')
  const found: RoundSummary[] = []
  for await (const round of store.rounds()) {
    if (options.ndjson) await print(`${JSON.stringify(round)}\n`)
    found.push(round)
  }
  if (options.json) await printJson(found)
  else if (!options.ndjson) {
    const lines = table(COLUMNS, found.map(rowOf), columnsOf(process.stdout), styleFor(process.stdout))
    await print(found.length === 0 ? `no round in ${options.store}\n` : `${lines.join('\n')}\n`)
  }
  return found.length === 0 ? exitCodes.nothingFound : exitCodes.done
}

function rowOf(round: RoundSummary): string[] {
  return [
    String(round.number),
    utc(round.startedMs),
    round.endedMs === null ? '' : seconds(round.endedMs - round.startedMs),
    round.endedMs === null ? 'open or cut short' : (round.reason ?? ''),
    number(round.swarms),
    number(round.peers),
    number(round.observations),
    printable(round.vantage),
  ]
}
