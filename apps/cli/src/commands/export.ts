/** `swarmatlas export`: data from the store, as files for other programs. */
import { type Evidence, SwarmatlasError } from '@swarmatlas/core'
import { type Detail, type ExportResult, exportGraph, type Format } from '@swarmatlas/export'
import { createGeo } from '@swarmatlas/geo'
import { exitCodes } from '../exit-codes.ts'
import { placedView } from '../graph-view.ts'
import { catchInterrupt } from '../interrupt.ts'
import { print, printJson } from '../output.ts'
import { bytes, count, number } from '../quantities.ts'
import { openStore } from '../store.ts'
import { checkStoreFilter, parseStoreFilter, type StoreFilterOptions } from '../store-filter.ts'
import { storePseudonyms } from '../study-key.ts'
import { version } from '../version.ts'

export interface ExportCommandOptions extends StoreFilterOptions {
  format: Format
  output: string
  evidence: Exclude<Evidence, 'refuted'>
  research?: boolean
  rawAddresses?: boolean
  json?: boolean
}

export async function exportData(options: ExportCommandOptions): Promise<number> {
  const filter = parseStoreFilter(options)
  const detail = detailOf(options)
  await using store = await openStore(options.store, 'export')
  await checkStoreFilter(store, filter)
  if (WARNINGS[detail] !== undefined) process.stderr.write(`warning: ${WARNINGS[detail]}\n`)
  const geo = createGeo()
  const database = await geo.load()
  const pseudonyms = await storePseudonyms(options.store)
  const view = placedView(store.view, geo)
  using interrupt = catchInterrupt(() => process.stderr.write('stopping: no file is left\n'))
  let result: ExportResult
  try {
    result = await exportGraph(
      { view, pseudonyms },
      {
        ...filter,
        format: options.format,
        output: options.output,
        detail,
        evidence: options.evidence,
        version,
        command: commandOf(options),
        database,
      },
      { signal: interrupt.signal, onProgress: progressTo(process.stderr) },
    )
  } catch (error) {
    if (interrupt.interrupted) return exitCodes.interrupted
    throw error
  }
  if (process.stderr.isTTY) process.stderr.write(CLEAR_LINE)
  if (options.json) await printJson(result)
  else await print(`${textOf(result, options)}\n${result.main}\n`)
  return result.counts.peers === 0 ? exitCodes.nothingFound : exitCodes.done
}

const WARNINGS: Partial<Record<Detail, string>> = {
  prefixes: 'this export shows the networks of peers: personal data. Do not publish it.',
  addresses: 'this export shows the addresses of people. Do not publish it or pass it on; PRIVACY.md says why.',
}

function detailOf({ research, rawAddresses }: ExportCommandOptions): Detail {
  if (research && rawAddresses)
    throw new SwarmatlasError('BAD_OPTION', '--research and --raw-addresses exclude each other', {
      hint: '--raw-addresses shows the networks, too',
    })
  return rawAddresses ? 'addresses' : research ? 'prefixes' : 'pseudonyms'
}

/** As it would be called again, without the paths of this machine. */
function commandOf(options: ExportCommandOptions): string {
  const parts = ['swarmatlas export', `--format ${options.format}`]
  if (options.swarm !== undefined) parts.push(`--swarm ${options.swarm}`)
  if (options.round !== undefined) parts.push(`--round ${options.round}`)
  if (options.evidence !== 'handshaken') parts.push(`--evidence ${options.evidence}`)
  if (options.research) parts.push('--research')
  if (options.rawAddresses) parts.push('--raw-addresses')
  return parts.join(' ')
}

const CLEAR_LINE = '\r\u001b[K'

/** Rewrites one line of a terminal; says nothing elsewhere. */
function progressTo(stream: NodeJS.WriteStream): (progress: { rows: number }) => void {
  if (!stream.isTTY) return () => {}
  return ({ rows }) => {
    stream.write(`${CLEAR_LINE}${number(rows)} rows`)
  }
}

function textOf(
  { counts, files, descriptor }: ExportResult,
  { evidence, rawAddresses, research }: ExportCommandOptions,
): string {
  const who = rawAddresses ? 'by their addresses' : research ? 'by pseudonym and network' : 'by pseudonym'
  const size = files.reduce((sum, file) => sum + file.bytes, 0)
  const edges = counts.swarms === 0 ? '' : ` and ${count(counts.edges, 'edge')}, of ${count(counts.swarms, 'swarm')}`
  return [
    `${count(counts.peers, 'peer')} (${evidence} or better)${edges}: ${bytes(size)}, ${who}.`,
    `Described, with a hash of each file, in ${descriptor}`,
  ].join('\n')
}
