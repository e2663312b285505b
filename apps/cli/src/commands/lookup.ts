/** `swarmatlas lookup`: one swarm, ad hoc. */
import { SwarmatlasError } from '@swarmatlas/core'
import { nodeClock } from '@swarmatlas/core/node'
import { createGeo } from '@swarmatlas/geo'
import { exitCodes } from '../exit-codes.ts'
import { catchInterrupt } from '../interrupt.ts'
import { stderrLogger } from '../logger.ts'
import type { NetworkOptions, OutputOptions } from '../options.ts'
import { print, printEvent, printJson } from '../output.ts'
import { liveProgress, noProgress } from '../progress.ts'
import { type RoundOutcome, runOneRound } from '../session.ts'
import { swarmText } from '../swarm-text.ts'
import { readTarget } from '../targets.ts'
import { columnsOf, styleFor } from '../terminal.ts'

export async function lookup(
  text: string,
  options: NetworkOptions & OutputOptions & { store?: string },
): Promise<number> {
  const target = await readTarget(text)
  const human = !options.json && !options.ndjson
  using progress = human
    ? liveProgress({ clock: nodeClock, stream: process.stderr, style: styleFor(process.stderr) }, { showPeers: true })
    : noProgress
  using interrupt = catchInterrupt(() => progress.say('finishing; Ctrl-C again to stop now'))
  const outcome = await runOneRound({
    targets: [target],
    options,
    storeDir: options.store,
    command: 'lookup',
    geo: createGeo(),
    logger: stderrLogger({ level: options.logLevel, write: (line) => process.stderr.write(`${line}\n`) }),
    signal: interrupt.signal,
    onEvent(event) {
      progress.onEvent(event)
      if (options.ndjson) printEvent(event)
    },
  })
  progress[Symbol.dispose]()
  const [report] = outcome.swarms
  if (report === undefined) throw new SwarmatlasError('BAD_TARGET', 'nothing to look up')
  if (options.json) await printJson(report)
  else if (options.ndjson) printEvent({ type: 'report', atMs: outcome.round.endedMs, report })
  else {
    const style = styleFor(process.stdout)
    await print(`${swarmText(report, { style, columns: columnsOf(process.stdout), database: outcome.database })}\n`)
  }
  return exitCode(outcome, interrupt.interrupted)
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
