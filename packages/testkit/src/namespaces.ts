/**
 * Network namespaces for real programs: each gets one of its own with one address on a bridge, and this process stands
 * on that bridge with an address too. There is no uplink and no default route, and the kernel here does not forward:
 * nothing that runs inside can send further than the bridge.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { promisify } from 'node:util'
import { allowEgress } from './egress-guard.ts'

export interface Namespaces extends AsyncDisposable {
  /** This process on the bridge. */
  readonly address: string
  /** The bridge's network; the egress guard lets it through while the namespaces live. */
  readonly prefix: string
  /** Runs a program in a namespace of its own. It is killed on close, and when this process dies. */
  run(command: string, args: readonly string[], options: { address: string }): Promise<ChildProcess>
  /** An address of the bridge that was not given out before. */
  nextAddress(): string
}

export type Availability = { readonly ok: true } | { readonly ok: false; readonly why: string }

/** Our interface is called this, the process id, `n` and a number; a namespace so too, and then `-` and its member. */
const NAME = 'sat'
const NETWORKS = 256
/** Milliseconds a program gets to end by itself. */
const END_MS = 2_000

let created = 0

const execute = promisify(execFile)

/** Whether this process may make namespaces; found out by making one. */
export function namespacesAvailable(): Availability {
  if (process.getuid?.() !== 0) return { ok: false, why: 'not root' }
  const name = `${NAME}${process.pid}-try`
  const steps = [
    ['netns', 'add', name],
    ['-n', name, 'link', 'add', 'br0', 'type', 'bridge'],
    ['-n', name, 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1'],
  ]
  let why: string | undefined
  for (const step of steps) {
    const { status, error, stderr } = spawnSync('ip', step, { encoding: 'utf8' })
    if (error !== undefined || status !== 0) why ??= `ip ${step.join(' ')}: ${error?.message ?? stderr.trim()}`
  }
  spawnSync('ip', ['netns', 'del', name])
  return why === undefined ? { ok: true } : { ok: false, why }
}

export async function createNamespaces(): Promise<Namespaces> {
  await removeStale()
  const own = `${NAME}${process.pid}n${++created}`
  const hub = `${own}-hub`
  const network = `10.213.${freeNetwork()}`
  const address = `${network}.1`
  const prefix = `${network}.0/24`
  const names = [hub]
  const children: ChildProcess[] = []
  let members = 1
  let closing: Promise<void> | undefined
  const permission = allowEgress(prefix)

  async function close(): Promise<void> {
    await Promise.all(children.map(end))
    // The kernel clears a deleted namespace some time later; ours is to be gone now.
    await ip(['link', 'del', own]).catch(() => {})
    for (const name of names.reverse()) await ip(['netns', 'del', name]).catch(() => {})
    permission[Symbol.dispose]()
  }

  const namespaces: Namespaces = {
    address,
    prefix,
    nextAddress: () => `${network}.${++members}`,
    async run(command, args, { address: member }) {
      const number = member.slice(member.lastIndexOf('.') + 1)
      const name = `${own}-${number}`
      names.push(name)
      await ip(['netns', 'add', name])
      await ipIn(hub, `link add p${number} type veth peer name eth0 netns ${name}`, `link set p${number} master br0 up`)
      await ipIn(name, 'link set lo up', `addr add ${member}/24 dev eth0`, 'link set eth0 up')
      const inside = ['netns', 'exec', name, 'setpriv', '--pdeathsig', 'KILL', command, ...args]
      const child = spawn('ip', inside, { stdio: ['ignore', 'pipe', 'pipe'] })
      children.push(child)
      await once(child, 'spawn')
      return child
    },
    [Symbol.asyncDispose]() {
      closing ??= close()
      return closing
    },
  }

  try {
    await ip(['netns', 'add', hub])
    await ipIn(hub, 'link set lo up', 'link add br0 type bridge', 'link set br0 up')
    await ipIn(hub, `link add p1 type veth peer name ${own} netns ${process.pid}`, 'link set p1 master br0 up')
    await ip(['addr', 'add', `${address}/24`, 'dev', own])
    await ip(['link', 'set', own, 'up'])
    return namespaces
  } catch (error) {
    await namespaces[Symbol.asyncDispose]()
    throw error
  }
}

/** `ip netns exec` and setpriv become the program, so that the process id is its own. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const impatience = setTimeout(() => child.kill('SIGKILL'), END_MS)
  await exited
  clearTimeout(impatience)
}

/** Third byte of a 10.213.x.0/24 that no interface here has. */
function freeNetwork(): number {
  const taken = new Set(
    Object.values(networkInterfaces()).flatMap((addresses) => addresses?.map(({ address }) => address) ?? []),
  )
  for (let i = 0; i < NETWORKS; i++) {
    const candidate = (process.pid + created + i) % NETWORKS
    if (!taken.has(`10.213.${candidate}.1`)) return candidate
  }
  throw new Error('each 10.213.x.0/24 is in use')
}

/** Removes what processes left that were killed. */
async function removeStale(): Promise<void> {
  const { stdout } = await ip(['netns', 'list'])
  for (const [name, pid] of stdout.matchAll(new RegExp(`^${NAME}(\\d+)n\\d+-\\w+`, 'gm'))) {
    if (!existsSync(`/proc/${pid}`)) await ip(['netns', 'del', name]).catch(() => {})
  }
}

function ip(args: readonly string[]): Promise<{ stdout: string }> {
  return execute('ip', args, { encoding: 'utf8' })
}

async function ipIn(namespace: string, ...commands: string[]): Promise<void> {
  for (const command of commands) await ip(['-n', namespace, ...command.split(' ')])
}
