/** libtorrent's DHT, through the Python binding that Debian packages (python3-libtorrent). */
import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Outcome, Task } from './contest.ts'

/** Where Debian's binding is found; another Python on the path would not have it. */
const PYTHON = '/usr/bin/python3'

export function libtorrentUnavailable(): string | undefined {
  const found = spawnSync(PYTHON, ['-c', 'import libtorrent']).status === 0
  return found ? undefined : `${PYTHON} has no libtorrent (Debian: python3-libtorrent)`
}

export async function libtorrent(task: Task): Promise<Outcome> {
  const script = fileURLToPath(new URL('libtorrent_dht.py', import.meta.url))
  const child = spawn(PYTHON, [script], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(JSON.stringify(task))
  let output = ''
  child.stdout.on('data', (part: Buffer) => {
    output += part
  })
  const code = await new Promise((resolve) => child.on('close', resolve))
  if (code !== 0) throw new Error(`libtorrent_dht.py ended with code ${code}`)
  const { cost, completed, found } = JSON.parse(output)
  const entries = Object.entries<string[]>(found).map(([hash, peers]) => [hash, new Set(peers)] as const)
  return { cost, completed, found: new Map(entries) }
}
