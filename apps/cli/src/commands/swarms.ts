/** `swarmatlas swarms`: the swarms in a store. */
import type { SwarmSummary } from '@swarmatlas/peer-graph'
import { exitCodes } from '../exit-codes.ts'
import type { OutputOptions } from '../options.ts'
import { print, printEvent, printJson } from '../output.ts'
import { bytes, utc } from '../quantities.ts'
import { openStore } from '../store.ts'
import { type Column, columnsOf, styleFor, table } from '../terminal.ts'

const COLUMNS: readonly Column[] = [
  { head: 'swarm', shrinks: true, min: 16 },
  { head: 'size', align: 'right' },
  { head: 'rounds', align: 'right' },
  { head: 'peers', align: 'right' },
  { head: 'seeds', align: 'right' },
  { head: 'last seen' },
]

export async function swarms(options: OutputOptions & { store: string }): Promise<number> {
  await using store = await openStore(options.store, 'swarms')
  const found: SwarmSummary[] = []
  for await (const swarm of store.swarms()) {
    if (options.ndjson) printEvent({ ...swarm })
    found.push(swarm)
  }
  if (options.json) await printJson(found)
  else if (!options.ndjson) {
    const rows = found.map((swarm) => [
      swarm.name ?? swarm.infoHash,
      swarm.totalBytes === null ? '' : bytes(swarm.totalBytes),
      String(swarm.rounds),
      String(swarm.peers),
      swarm.latest === null ? '' : String(swarm.latest.seeds),
      swarm.lastSeenMs === null ? 'never' : utc(swarm.lastSeenMs),
    ])
    const text =
      found.length === 0
        ? [`no swarm in ${options.store}`]
        : table(COLUMNS, rows, columnsOf(process.stdout), styleFor(process.stdout))
    await print(`${text.join('\n')}\n`)
  }
  return found.length === 0 ? exitCodes.nothingFound : exitCodes.done
}
