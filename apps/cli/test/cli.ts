/** Runs the real command as a child process: from source, under the egress guard, with a home folder of its own. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { OnTestFinishedHandler } from 'vitest'

interface CliOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string | Uint8Array
  /** A further network that the guard lets through (CIDR). */
  readonly prefix?: string
  /** A further module that Node loads first. */
  readonly preload?: string
  /** A program with arguments that runs the command. */
  readonly under?: readonly string[]
  /** On a terminal of its own (util-linux's `script`): everything comes on stdout then. */
  readonly terminal?: boolean
}

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

interface RunningCli {
  readonly child: ChildProcessWithoutNullStreams
  /** Resolves when what came on the stream so far matches. */
  until(stream: 'stdout' | 'stderr', pattern: RegExp): Promise<void>
  readonly ended: Promise<Ended>
}

export interface Cli {
  /** A folder that goes with the test; `data` and `state` in it are the command's. */
  readonly folder: string
  start(args: readonly string[], options?: CliOptions): RunningCli
  run(args: readonly string[], options?: CliOptions): Promise<Ended>
}

const local = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

/** The command as Node runs it here: from source, guarded. */
function nodeArguments(preload: readonly string[] = []): string[] {
  const imports = ['tsx/esm', local('preload.ts'), ...preload].flatMap((module) => ['--import', module])
  return [...imports, '--conditions=@swarmatlas/source', local('../src/main.ts')]
}

export function createCli(onTestFinished: (handler: OnTestFinishedHandler) => void): Cli {
  const folder = mkdtempSync(join(tmpdir(), 'swarmatlas-cli-'))
  const running: RunningCli[] = []
  onTestFinished(async () => {
    for (const { child, ended } of running) {
      // A test that failed early leaves nobody running.
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await ended
    }
    rmSync(folder, { recursive: true, force: true })
  })

  function start(args: readonly string[], options: CliOptions = {}): RunningCli {
    const { env, stdin = '', prefix, preload, under = [], terminal = false } = options
    const node = [process.execPath, ...nodeArguments(preload === undefined ? [] : [preload])]
    const command = [...under, ...node, ...args]
    const [program, ...rest] = (
      terminal ? ['script', '-qec', command.map((part) => `'${part}'`).join(' '), '/dev/null'] : command
    ) as [string, ...string[]]
    const child = spawn(program, rest, {
      cwd: local('..'),
      env: {
        PATH: process.env.PATH,
        XDG_DATA_HOME: join(folder, 'data'),
        XDG_STATE_HOME: join(folder, 'state'),
        ...(prefix === undefined ? {} : { TEST_EGRESS_PREFIX: prefix }),
        ...env,
      },
    })
    const text = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (part: string) => {
        text[name] += part
      })
    }
    child.stdin.on('error', () => {})
    child.stdin.end(stdin)
    const ended = once(child, 'close').then(([code]): Ended => ({ code, ...text }))
    const cli: RunningCli = {
      child,
      ended,
      async until(name, pattern) {
        while (!pattern.test(text[name])) {
          if (child.exitCode !== null) throw new Error(`ended before ${pattern}:\n${text.stdout}\n${text.stderr}`)
          await Promise.race([once(child[name], 'data'), once(child, 'close')])
        }
      },
    }
    running.push(cli)
    return cli
  }

  return { folder, start, run: (args, options) => start(args, options).ended }
}
