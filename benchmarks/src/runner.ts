/** Runs a suite: contenders in turn, run after run, each in a process of its own, so that drift of the machine hits all alike. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { median, type Summary, summarise } from './statistics.ts'
import type { Run, Suite } from './suite.ts'

export interface SuiteResult {
  readonly suite: string
  readonly describes: string
  readonly runs: readonly Run[]
  readonly byContender: Readonly<Record<string, ContenderSummary>>
  /** Medians of (alternative / ours), pair by pair of the same round; above 1: ours takes less. */
  readonly ratios: Readonly<Record<string, { timeMs: number; cpuMs: number; peakRssBytes: number }>>
}

export interface ContenderSummary {
  readonly timeMs: Summary | undefined
  readonly cpuMs: Summary | undefined
  readonly peakRssBytes: Summary | undefined
  readonly bytesIn: Summary | undefined
  readonly bytesOut: Summary | undefined
  readonly quality: Readonly<Record<string, Summary | undefined>>
}

export async function runSuite(suite: Suite, rounds: number, onRun: (run: Run) => void): Promise<SuiteResult> {
  const runs: Run[] = []
  for (let seed = 1; seed <= rounds; seed++) {
    for (const contender of suite.contenders) {
      // A world for each run: what one contender left behind must not help or hinder the next.
      const world = await suite.openWorld(seed)
      try {
        const run = { contender, seed, ...(await runContender(suite.name, contender, world.description)) }
        runs.push(run)
        onRun(run)
      } finally {
        await world.close()
      }
    }
  }
  const of = (contender: string) => runs.filter((run) => run.contender === contender)
  const byContender = Object.fromEntries(suite.contenders.map((contender) => [contender, summariseRuns(of(contender))]))
  const [ours = '', ...others] = suite.contenders
  const ratios = Object.fromEntries(others.map((other) => [other, ratiosOf(of(ours), of(other))]))
  return { suite: suite.name, describes: suite.describes, runs, byContender, ratios }
}

function summariseRuns(runs: readonly Run[]): ContenderSummary {
  const names = new Set(runs.flatMap((run) => Object.keys(run.quality)))
  return {
    timeMs: summarise(runs.map((run) => run.timeMs)),
    cpuMs: summarise(runs.map((run) => run.cpuMs)),
    peakRssBytes: summarise(runs.map((run) => run.peakRssBytes)),
    bytesIn: summarise(runs.map((run) => run.bytesIn)),
    bytesOut: summarise(runs.map((run) => run.bytesOut)),
    quality: Object.fromEntries(
      [...names].map((name) => [name, summarise(runs.map((run) => run.quality[name] ?? null))]),
    ),
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

function runContender(suite: string, contender: string, world: unknown): Promise<Omit<Run, 'contender' | 'seed'>> {
  const script = fileURLToPath(new URL('contender.ts', import.meta.url))
  const args = ['--import', 'tsx', '--conditions=@swarmatlas/source', script, suite, contender, JSON.stringify(world)]
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
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
