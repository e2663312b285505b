/** Runs a suite: contenders in turn, run after run, each in a process of its own, so that drift of the machine hits all alike. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { median, type Summary, summarise } from './statistics.ts'
import type { Run, Suite, Work } from './suite.ts'

export interface SuiteResult {
  readonly suite: string
  readonly describes: string
  readonly runs: readonly Run[]
  /** Contenders that could not run here, and why. */
  readonly skipped: Readonly<Record<string, string>>
  readonly byContender: Readonly<Record<string, ContenderSummary>>
  /** Medians of (alternative / ours), pair by pair of the same round; above 1: ours takes less. */
  readonly ratios: Readonly<Record<string, { timeMs: number; cpuMs: number; peakRssBytes: number }>>
}

export interface ContenderSummary {
  readonly timeMs: Summary
  readonly cpuMs: Summary
  readonly peakRssBytes: Summary
  /** Over the runs that told. */
  readonly figures: Readonly<Record<string, Summary>>
}

export async function runSuite(suite: Suite, rounds: number, onRun: (run: Run) => void): Promise<SuiteResult> {
  const reasons = suite.contenders.map((contender) => [contender, suite.unavailable?.(contender)] as const)
  const skipped = Object.fromEntries(reasons.filter((entry): entry is [string, string] => entry[1] !== undefined))
  const contenders = suite.contenders.filter((contender) => !(contender in skipped))
  const runs: Run[] = []
  for (let seed = 1; seed <= rounds; seed++) {
    for (const contender of contenders) {
      // A world for each run: what one contender left behind must not help or hinder the next.
      const world = await suite.openWorld(seed)
      try {
        const work = await runContender(suite.name, contender, world.description, world.prefix ?? [])
        const seen = (await world.figures?.(work)) ?? {}
        const run = { contender, seed, ...work, figures: { ...work.figures, ...seen } }
        runs.push(run)
        onRun(run)
      } finally {
        await world.close()
      }
    }
  }
  const of = (contender: string) => runs.filter((run) => run.contender === contender)
  const byContender = Object.fromEntries(contenders.map((contender) => [contender, summariseRuns(of(contender))]))
  const [ours = '', ...others] = contenders
  const ratios = Object.fromEntries(others.map((other) => [other, ratiosOf(of(ours), of(other))]))
  return { suite: suite.name, describes: suite.describes, runs, skipped, byContender, ratios }
}

function summariseRuns(runs: readonly Run[]): ContenderSummary {
  const names = new Set(runs.flatMap(({ figures }) => Object.keys(figures)))
  const told = (name: string) => runs.flatMap(({ figures }) => figures[name] ?? [])
  return {
    timeMs: summarise(runs.map((run) => run.timeMs)),
    cpuMs: summarise(runs.map((run) => run.cpuMs)),
    peakRssBytes: summarise(runs.map((run) => run.peakRssBytes)),
    figures: Object.fromEntries([...names].map((name) => [name, summarise(told(name))])),
  }
}

function ratiosOf(ours: readonly Run[], theirs: readonly Run[]): SuiteResult['ratios'][string] {
  const ratio = (of: (run: Run) => number) => median(theirs.map((run, i) => of(run) / of(ours[i] as Run)))
  return {
    timeMs: ratio((run) => run.timeMs),
    cpuMs: ratio((run) => run.cpuMs),
    peakRssBytes: ratio((run) => run.peakRssBytes),
  }
}

function runContender(suite: string, contender: string, world: unknown, prefix: readonly string[]): Promise<Work> {
  const script = fileURLToPath(new URL('contender.ts', import.meta.url))
  const node = [process.execPath, '--import', 'tsx', '--conditions=@swarmatlas/source', script]
  const line = [...prefix, ...node, suite, contender, JSON.stringify(world)]
  const [command, ...args] = line as [string, ...string[]]
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.on('data', (part: Buffer) => {
      output += part
    })
    child.on('error', reject)
    child.on('close', (code) => {
      if (code !== 0) reject(new Error(`${suite}: ${contender} ended with code ${code}`))
      else resolve(JSON.parse(output.trim().split('\n').at(-1) as string))
    })
  })
}
