/** Runs the real command as a child process: from source, under the egress guard, with a home folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))
const main = path('../src/main.ts')
export const preload: string = path('preload.ts')

export interface CliOptions {
  /** Where XDG_DATA_HOME and XDG_STATE_HOME are; a temporary folder when undefined. */
  readonly home?: string
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string
  /** A further network that the guard lets through (CIDR). */
  readonly prefix?: string
  /** Further `--import`s of Node. */
  readonly imports?: readonly string[]
  /** A program and its arguments that runs the command (`unshare --net`). */
  readonly under?: readonly string[]
}

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunningCli {
  readonly child: ChildProcess
  /** Both streams so far. */
  output(): { stdout: string; stderr: string }
  /** Resolves when a stream's text so far matches. */
  until(stream: 'stdout' | 'stderr', pattern: RegExp): Promise<void>
  readonly ended: Promise<Ended>
}

/** A folder that is removed when the test has ended. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'swarmatlas-cli-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export function startCli(args: readonly string[], options: CliOptions = {}): RunningCli {
  const { home = temporaryFolder(), env = {}, stdin, prefix, imports = [], under = [] } = options
  const [command, ...rest] = [
    ...under,
    process.execPath,
    ...['tsx', preload, ...imports].flatMap((file) => ['--import', file]),
    '--conditions=@swarmatlas/source',
    main,
    ...args,
  ] as [string, ...string[]]
  const child = spawn(command, rest, {
    cwd: path('..'),
    env: {
      PATH: process.env.PATH,
      XDG_DATA_HOME: join(home, 'data'),
      XDG_STATE_HOME: join(home, 'state'),
      ...(prefix === undefined ? {} : { TEST_EGRESS_PREFIX: prefix }),
      ...env,
    },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  child.stdin.on('error', () => {})
  child.stdin.end(stdin ?? '')
  const ended = once(child, 'close').then(([code]): Ended => ({ code, stdout, stderr }))
  // A test that fails early leaves nobody running.
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await ended
  })
  return {
    child,
    output: () => ({ stdout, stderr }),
    async until(stream, pattern) {
      while (!pattern.test(stream === 'stdout' ? stdout : stderr)) {
        if (child.exitCode !== null) throw new Error(`ended before ${pattern}:\n${stdout}\n${stderr}`)
        await Promise.race([once(child[stream], 'data'), once(child, 'exit')])
      }
    },
    ended,
  }
}

export function runCli(args: readonly string[], options?: CliOptions): Promise<Ended> {
  return startCli(args, options).ended
}
