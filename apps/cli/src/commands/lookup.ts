/** `swarmatlas lookup`: one swarm, ad hoc. */
import { SwarmatlasError } from '@swarmatlas/core'
import { exitCodes } from '../exit-codes.ts'
import type { NetworkOptions, OutputOptions } from '../options.ts'
import { print, printEvent, printJson } from '../output.ts'
import type { RoundOutcome } from '../session.ts'
import { swarmText } from '../swarm-text.ts'
import { readTarget } from '../targets.ts'
import { columnsOf, styleFor } from '../terminal.ts'
import { watchRound } from '../watched-round.ts'

export async function lookup(
  text: string,
  options: NetworkOptions & OutputOptions & { store?: string },
): Promise<number> {
  const target = await readTarget(text)
  const { outcome, interrupted } = await watchRound([target], {
    command: 'lookup',
    options,
    storeDir: options.store,
    showPeers: true,
  })
  const [report] = outcome.swarms
  if (report === undefined) throw new SwarmatlasError('BAD_TARGET', 'nothing to look up')
  if (options.json) await printJson(report)
  else if (options.ndjson) printEvent({ type: 'report', atMs: outcome.round.endedMs, report })
  else {
    const style = styleFor(process.stdout)
    await print(`${swarmText(report, { style, columns: columnsOf(process.stdout), database: outcome.database })}\n`)
  }
  return exitCode(outcome, interrupted)
}

/**
 * What a round came to, as an exit code, once it is reported; a network that cannot be used is said on standard error.
 * Throws what the store failed with.
 */
export function exitCode({ swarms, networkProblem, storeFailure }: RoundOutcome, interrupted: boolean): number {
  if (storeFailure !== undefined) throw storeFailure
  if (interrupted) return exitCodes.interrupted
  if (networkProblem !== undefined) {
    process.stderr.write(`swarmatlas: the network cannot be used: ${networkProblem}\n`)
    process.stderr.write(
      '  hint: see whether a firewall, a VPN or this network blocks UDP; --bootstrap names other DHT nodes\n',
    )
    return exitCodes.network
  }
  return swarms.every((swarm) => swarm.peers.length === 0) ? exitCodes.nothingFound : exitCodes.done
}
