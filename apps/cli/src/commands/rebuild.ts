/** `swarmatlas rebuild`: computes anew all that is derived from the facts. */
import { createGeo } from '@swarmatlas/geo'
import { exitCodes } from '../exit-codes.ts'
import { print, printJson } from '../output.ts'
import { count, number } from '../quantities.ts'
import { openStore } from '../store.ts'

export async function rebuild(options: { store: string; geo?: boolean; json?: boolean }): Promise<number> {
  await using store = await openStore(options.store, 'rebuild')
  const geo = createGeo()
  const database = options.geo ? await geo.load() : null
  const report = await store.rebuild(options.geo ? { placeOf: (endpoint) => geo.place(endpoint) } : {})
  if (options.json) await printJson({ ...report, database })
  else {
    await print(
      [
        `${count(report.rounds, 'round')} rebuilt`,
        ...(database === null ? [] : [`${number(report.redone)} places looked up again in ${database.name}`]),
        ...(report.notRedone === 0
          ? []
          : [`${number(report.notRedone)} keep what they had: their address has expired`]),
        '',
      ].join('\n'),
    )
  }
  return exitCodes.done
}
