/** `npm run bench -- [suite…] [--runs N]`: runs the suites, prints medians, writes the raw results as JSON. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { runSuite, type SuiteResult } from './runner.ts'
import { suites } from './suites/index.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: 'string', default: '5' } },
})
const runs = Number(values.runs)
const chosen = positionals.length === 0 ? suites : suites.filter((suite) => positionals.includes(suite.name))
if (!Number.isInteger(runs) || runs < 1 || chosen.length === 0) {
  console.error(`usage: npm run bench -- [suite…] [--runs N]; suites: ${suites.map((suite) => suite.name).join(', ')}`)
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
  const result = await runSuite(suite, runs, (run) =>
    console.log(`  run ${run.seed}  ${run.contender.padEnd(16)} ${run.timeMs.toFixed(0)} ms`),
  )
  results.push(result)
  printResult(result)
}
const folder = fileURLToPath(new URL('../results/', import.meta.url))
mkdirSync(folder, { recursive: true })
const file = `${folder}${new Date().toISOString().replaceAll(':', '-')}.json`
writeFileSync(file, `${JSON.stringify({ machine, results }, null, 2)}\n`)
console.log(`\n${machine.cpus} x ${machine.cpu}, Node ${machine.node}\n${file}`)

function printResult({ byContender, ratios }: SuiteResult): void {
  for (const [contender, summary] of Object.entries(byContender)) {
    const quality = Object.entries(summary.quality).map(([name, value]) => `${name} ${value?.median.toFixed(3)}`)
    const bytes =
      summary.bytesIn === undefined
        ? []
        : [
            `${(summary.bytesIn.median / 1000).toFixed(0)} kB in`,
            `${((summary.bytesOut?.median ?? 0) / 1000).toFixed(0)} kB out`,
          ]
    const parts = [
      `${summary.timeMs?.median.toFixed(0)} ms (${summary.timeMs?.min.toFixed(0)}-${summary.timeMs?.max.toFixed(0)})`,
      `${summary.cpuMs?.median.toFixed(0)} ms CPU`,
      `${((summary.peakRssBytes?.median ?? 0) / 1e6).toFixed(0)} MB`,
      ...bytes,
      ...quality,
    ]
    console.log(`  ${contender.padEnd(16)} ${parts.join(' · ')}`)
  }
  for (const [other, ratio] of Object.entries(ratios)) {
    console.log(
      `  ${other} / ours: time ${ratio.timeMs.toFixed(2)}, CPU ${ratio.cpuMs.toFixed(2)}, memory ${ratio.peakRssBytes.toFixed(2)}`,
    )
  }
}
