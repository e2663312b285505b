/** `swarmatlas map`: one round over many swarms into a store, then a report and a world map. */
import { SwarmatlasError, type Target, wireHashes } from '@swarmatlas/core'
import { checkOutput, writeMap } from '../map-files.ts'
import type { NetworkOptions, OutputOptions } from '../options.ts'
import { print, printEvent, printJson } from '../output.ts'
import { roundText } from '../round-text.ts'
import { readTarget, readTargetList } from '../targets.ts'
import { columnsOf, styleFor } from '../terminal.ts'
import { watchRound } from '../watched-round.ts'
import { exitCode } from './lookup.ts'

export interface MapOptions extends NetworkOptions, OutputOptions {
  store: string
  list?: string
  output?: string
  theme: 'light' | 'dark'
}

export async function map(texts: string[], options: MapOptions): Promise<number> {
  const targets = await readTargets(texts, options.list)
  if (options.output !== undefined) await checkOutput(options.output)
  const { outcome, interrupted } = await watchRound(targets, {
    command: 'map',
    options,
    storeDir: options.store,
    showPeers: false,
  })
  // A map that cannot be written must not cost the report.
  const { files, failure } = await writeMap(outcome, {
    output: options.output,
    storeDir: options.store,
    theme: options.theme,
    demo: false,
  }).then(
    (files) => ({ files, failure: undefined }),
    (failure: unknown) => ({ files: [], failure }),
  )
  const { round, swarms, database } = outcome
  if (options.json) await printJson({ round, swarms, files })
  else if (options.ndjson) printEvent({ type: 'report', atMs: round.endedMs, round, swarms, files })
  else {
    const text = roundText(outcome, { style: styleFor(process.stdout), columns: columnsOf(process.stdout), database })
    await print(`${[text, ...files.slice(0, 1)].join('\n\n')}\n`)
  }
  if (failure !== undefined) throw failure
  return exitCode(outcome, interrupted)
}

/** All targets of a command line, each torrent once. */
async function readTargets(texts: readonly string[], list: string | undefined): Promise<Target[]> {
  if (texts.length === 0 && list === undefined) {
    throw new SwarmatlasError('BAD_TARGET', 'no target was given', {
      hint: 'name magnets, info-hashes or .torrent files, or a list with --list FILE',
    })
  }
  const named = await Promise.all(texts.map(readTarget))
  const targets = list === undefined ? named : [...named, ...(await readTargetList(list))]
  const seen = new Set<string>()
  return targets.filter((target) => {
    const hashes = wireHashes(target.hashes)
    const isNew = hashes.every((hash) => !seen.has(hash))
    for (const hash of hashes) seen.add(hash)
    return isNew
  })
}
