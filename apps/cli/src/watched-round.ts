/** One round as a person or a script watches it: progress, events, Ctrl-C. What lookup and map share. */
import type { Target } from '@swarmatlas/core'
import { nodeClock } from '@swarmatlas/core/node'
import { createGeo } from '@swarmatlas/geo'
import { catchInterrupt } from './interrupt.ts'
import { stderrLogger } from './logger.ts'
import type { NetworkOptions, OutputOptions } from './options.ts'
import { printEvent } from './output.ts'
import { liveProgress, noProgress } from './progress.ts'
import { type RoundOutcome, runOneRound } from './session.ts'
import { styleFor } from './terminal.ts'

export interface WatchedRound {
  readonly command: string
  readonly options: NetworkOptions & OutputOptions
  readonly storeDir: string | undefined
  /** Write the first peers as they come. */
  readonly showPeers: boolean
}

/** Runs the round; events go to standard output with `--ndjson`, progress to standard error for a person. */
export async function watchRound(
  targets: readonly Target[],
  { command, options, storeDir, showPeers }: WatchedRound,
): Promise<{ outcome: RoundOutcome; interrupted: boolean }> {
  const human = !options.json && !options.ndjson
  const components = { clock: nodeClock, stream: process.stderr, style: styleFor(process.stderr) }
  using progress = human ? liveProgress(components, { showPeers }) : noProgress
  using interrupt = catchInterrupt(() => progress.say('finishing; Ctrl-C again to stop now'))
  // A log line must not run into the progress line.
  const write = (line: string) => (human ? progress.say(line) : process.stderr.write(`${line}\n`))
  const outcome = await runOneRound({
    targets,
    options,
    storeDir,
    command,
    geo: createGeo(),
    logger: stderrLogger({ level: options.logLevel, write }),
    signal: interrupt.signal,
    onEvent(event) {
      progress.onEvent(event)
      if (options.ndjson) printEvent(event)
    },
  })
  return { outcome, interrupted: interrupt.interrupted }
}
