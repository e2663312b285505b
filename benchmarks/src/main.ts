/**
 * `npm run bench -- [suite…] [--runs N] [--only contender,…]`: runs the suites, prints medians, writes the raw results
 * as JSON.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { runSuite, type SuiteResult } from './runner.ts'
import type { Summary } from './statistics.ts'
import { suites } from './suites/index.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: 'string', default: '5' }, only: { type: 'string' } },
})
const runs = Number(values.runs)
const only = values.only?.split(',')
const isChosen = (name: string) => positionals.some((wanted) => name === wanted || name.startsWith(`${wanted}:`))
const chosen = positionals.length === 0 ? suites : suites.filter(({ name }) => isChosen(name))
if (!Number.isInteger(runs) || runs < 1 || chosen.length === 0) {
  console.error(
    `usage: npm run bench -- [suite…] [--runs N] [--only contender,…]; suites: ${suites.map((suite) => suite.name).join(', ')}`,
  )
  process.exit(2)
}

const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  cpus: availableParallelism(),
  memoryBytes: totalmem(),
  node: process.version,
  platform: `${process.platform} ${process.arch}`,
}
const results: SuiteResult[] = []
for (const suite of chosen) {
  console.log(`\n${suite.name}: ${suite.describes}`)
  const missing = suite.unavailable?.(undefined)
  if (missing !== undefined) {
    console.log(`  skipped: ${missing}`)
    continue
  }
  const contenders = suite.contenders.filter((contender) => only?.includes(contender) ?? true)
  const result = await runSuite({ ...suite, contenders }, runs, (run) =>
    console.log(`  run ${run.seed}  ${run.contender.padEnd(16)} ${run.timeMs.toFixed(0)} ms`),
  )
  results.push(result)
  printResult(result)
}
const folder = fileURLToPath(new URL('../results/', import.meta.url))
mkdirSync(folder, { recursive: true })
const file = `${folder}${new Date().toISOString().replaceAll(':', '-')}.json`
writeFileSync(file, `${JSON.stringify({ machine, results }, null, 2)}\n`)
console.log(`\n${machine.cpus} x ${machine.cpu}, Node ${machine.node}\n${relative(process.cwd(), file)}`)

/** A table: contenders side by side, a line for each figure, `median (min-max)`. */
function printResult({ byContender, ratios, skipped }: SuiteResult): void {
  for (const [contender, why] of Object.entries(skipped)) console.log(`  ${contender} skipped: ${why}`)
  const contenders = Object.keys(byContender)
  const columns = contenders.map((contender) => {
    const { timeMs, cpuMs, peakRssBytes, figures = {} } = byContender[contender] ?? {}
    return new Map<string, string>([
      ['time ms', show(timeMs)],
      ['CPU ms', show(cpuMs)],
      ['memory MB', show(peakRssBytes, 1e-6)],
      ...Object.entries(figures).map(([name, summary]) => [name, show(summary)] as const),
    ])
  })
  const names = new Set(columns.flatMap((column) => [...column.keys()]))
  printRow('', contenders)
  for (const name of names) {
    printRow(
      name,
      columns.map((column) => column.get(name) ?? '-'),
    )
  }
  for (const [other, ratio] of Object.entries(ratios)) {
    console.log(
      `  ${other} / ours: time ${ratio.timeMs.toFixed(2)}, CPU ${ratio.cpuMs.toFixed(2)}, memory ${ratio.peakRssBytes.toFixed(2)}`,
    )
  }
}

function printRow(name: string, cells: readonly string[]): void {
  console.log(`  ${name.padEnd(16)}${cells.map((cell) => cell.padStart(24)).join('')}`)
}

function show(summary: Summary | undefined, scale = 1): string {
  if (summary === undefined) return '-'
  const text = (value: number) => {
    const scaled = value * scale
    return scaled.toFixed(Math.abs(scaled) < 10 && !Number.isInteger(scaled) ? 3 : 0)
  }
  const spread = summary.min === summary.max ? '' : ` (${text(summary.min)}-${text(summary.max)})`
  return text(summary.median) + spread
}
