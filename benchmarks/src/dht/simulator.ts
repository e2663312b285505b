/** dhtsim, the simulated DHT behind few sockets: built on demand, run as a child, asked for truth and counters. */
import { type ChildProcessByStdio, execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

/** As dhtsim's usage names them. */
export interface DhtsimOptions {
  nodes?: number
  swarms?: number
  peers?: number
  /** Per cent of the nodes that never answer. */
  dead?: number
  /** Milliseconds from query to answer. */
  delay?: number
  /** Per cent of the nodes that answer after 600 ms. */
  tail?: number
  loss?: number
  hard?: 0 | 1
  v4?: 0 | 1
  v6?: 0 | 1
  seed?: number
}

/** What dhtsim counted since the start, or since a datagram that says RESET. */
export interface DhtsimCounters {
  /** Datagrams that came, to dead nodes too. */
  readonly queries: number
  readonly replies: number
  /** Times that a node would have stopped listening to us (in hard mode: did). */
  readonly bans: number
  /** UDP payload. */
  readonly bytesIn: number
  readonly bytesOut: number
  readonly [name: string]: number
}

export interface DhtTruth {
  readonly nodes: number
  readonly liveNodes: number
  /** `address:port` of live nodes. */
  readonly bootstrap4?: readonly string[]
  readonly bootstrap6?: readonly string[]
  /** Endpoints that live nodes hold. */
  readonly swarms: readonly { hash: string; peers4?: readonly string[]; peers6?: readonly string[] }[]
}

export interface Dhtsim {
  /** A DhtTruth as JSON. */
  readonly truthFile: string
  counters(): Promise<DhtsimCounters>
  close(): Promise<void>
}

const SOURCES = fileURLToPath(new URL('../../dhtsim/', import.meta.url))

export function dhtsimUnavailable(): string | undefined {
  return spawnSync('cc', ['--version']).status === 0 ? undefined : 'there is no C compiler (cc) to build dhtsim'
}

/** `prefix`: a command that runs another, such as `ip netns exec …`. Rejects when dhtsim ends before it is ready. */
export async function startDhtsim(options: DhtsimOptions, prefix: readonly string[] = []): Promise<Dhtsim> {
  const folder = mkdtempSync(join(tmpdir(), 'dhtsim-'))
  const truthFile = join(folder, 'truth.json')
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
  const [command, ...args] = [...prefix, built(), '--truth', truthFile, ...flags] as [string, ...string[]]
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn(command, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ready = await lines.next()
  if (ready.done) {
    rmSync(folder, { recursive: true })
    throw new Error(`dhtsim ended before it was ready: ${args.join(' ')}`)
  }
  return {
    truthFile,
    async counters() {
      child.stdin.write('counters\n')
      const { value } = await lines.next()
      return JSON.parse(value as string)
    },
    async close() {
      child.stdin.end()
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The program for these sources; built once. */
function built(): string {
  const names = readdirSync(SOURCES).filter((name) => /\.[ch]$/.test(name))
  const hash = createHash('sha256')
  for (const name of names.sort()) hash.update(readFileSync(join(SOURCES, name)))
  const program = join(SOURCES, 'build', `dhtsim-${hash.digest('hex').slice(0, 12)}`)
  if (existsSync(program)) return program
  mkdirSync(join(SOURCES, 'build'), { recursive: true })
  const sources = names.filter((name) => name.endsWith('.c')).map((name) => join(SOURCES, name))
  // Built aside: another process may build at the same time.
  const aside = `${program}.${process.pid}`
  execFileSync('cc', ['-std=c11', '-O2', '-Wall', '-o', aside, ...sources], { stdio: 'inherit' })
  renameSync(aside, program)
  return program
}
