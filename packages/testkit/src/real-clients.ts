/**
 * Transmission and aria2 as seeds of small torrents, each in a network namespace of its own, with a tracker and DHT
 * nodes of ours: what the mapper finds can be held against programs that other people wrote.
 */
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Endpoint, encodeBencode, encodeCompact, endpointKey, type HostPort } from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { type ContentSpec, type ContentTorrent, makeContentTorrent } from './content-torrent.ts'
import { getPeers } from './dht-question.ts'
import { type Availability, createNamespaces, namespacesAvailable } from './namespaces.ts'
import { startOpenTracker } from './open-tracker.ts'
import { seededRandom } from './seeded-random.ts'

export type RealClientKind = 'transmission' | 'aria2'

export interface RealClient {
  readonly kind: RealClientKind
  readonly endpoint: Endpoint
  readonly pid: number
}

export interface RealTorrent extends ContentTorrent {
  /** endpointKeys of those who seed it. */
  readonly truth: readonly string[]
}

export interface RealClients extends AsyncDisposable {
  readonly trackerUrl: string
  readonly bootstrap: readonly HostPort[]
  /** The address that this process has in the clients' network. */
  readonly address: string
  /** The clients' network. */
  readonly prefix: string
  readonly clients: readonly RealClient[]
  readonly torrents: readonly RealTorrent[]
  /** Resolves when the DHT names all clients for all torrents: aria2 announces at once, Transmission within half a minute. */
  dhtReady(): Promise<void>
}

export interface RealClientsOptions {
  /** Starts DHT nodes on the address that this process has in the clients' network, sim-swarm's for example. */
  openDht(address: string): Promise<{ readonly bootstrap: readonly HostPort[] } & AsyncDisposable>
  torrents: readonly ContentSpec[]
  /** One of each when undefined. */
  clients?: readonly RealClientKind[]
  /** Time for all clients to announce all torrents, ms. */
  readyMs?: number
}

const PROGRAMS: Readonly<Record<RealClientKind, string>> = { transmission: 'transmission-daemon', aria2: 'aria2c' }
const PEER_PORT = 51_413
const READY_MS = 15_000
const DHT_READY_MS = 60_000
const POLL_MS = 50

/** Whether startRealClients can work here, and if not, why: tests are skipped by that name. */
export function realClientsAvailable(): Availability {
  for (const program of ['ip', 'setpriv', ...Object.values(PROGRAMS)]) {
    const { error } = spawnSync(program, ['--version'])
    if (error !== undefined) return { ok: false, why: `${program} is not installed` }
  }
  return namespacesAvailable()
}

/** Resolves when the tracker lists each client as a seed of each torrent. */
export async function startRealClients({
  openDht,
  torrents: specs,
  clients: kinds = ['transmission', 'aria2'],
  readyMs = READY_MS,
}: RealClientsOptions): Promise<RealClients> {
  const host = nodeHost()
  const closers: (() => PromiseLike<void>)[] = []
  const close = async () => {
    for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) await closer()
  }
  const closing = <T extends AsyncDisposable>(resource: T): T => {
    closers.push(() => resource[Symbol.asyncDispose]())
    return resource
  }
  try {
    const folder = await mkdtemp(join(tmpdir(), `swarmatlas-clients-${process.pid}-`))
    closers.push(() => rm(folder, { recursive: true, force: true }))
    const namespaces = closing(await createNamespaces())
    const { address, prefix } = namespaces
    const tracker = closing(await startOpenTracker({ address }))
    const dht = closing(await openDht(address))
    const content = join(folder, 'content')
    const made = await Promise.all(specs.map((spec) => makeContentTorrent(content, spec, tracker.url)))

    const clients: RealClient[] = []
    for (const [index, kind] of kinds.entries()) {
      const endpoint = { address: namespaces.nextAddress(), port: PEER_PORT }
      const home = join(folder, `${index}-${kind}`)
      await mkdir(join(home, 'torrents'), { recursive: true })
      const torrentFiles = made.map((_, i) => join(home, 'torrents', `${i}.torrent`))
      await Promise.all(made.map(({ torrentFile }, i) => writeFile(torrentFiles[i] as string, torrentFile)))
      const settings = { endpoint, home, content, torrentFiles, bootstrap: dht.bootstrap }
      const args = kind === 'transmission' ? await transmission(settings) : aria2(settings)
      const child = await namespaces.run(PROGRAMS[kind], args, { address: endpoint.address })
      // Or it would stop when the pipes are full.
      child.stdout?.resume()
      child.stderr?.resume()
      clients.push({ kind, endpoint, pid: child.pid as number })
    }

    const everyone = clients.map(({ endpoint }) => endpointKey(endpoint)).sort()
    const listed = () => made.map(({ infoHash }) => `${tracker.seeds(infoHash).sort()}`)
    await until(
      () => listed().every((seeds) => seeds === `${everyone}`),
      readyMs,
      () => {
        return `${everyone} should seed all torrents; the tracker lists ${listed().join(' and ')}`
      },
    )
    return {
      trackerUrl: tracker.url,
      bootstrap: dht.bootstrap,
      address,
      prefix,
      clients,
      torrents: made.map((torrent) => ({ ...torrent, truth: everyone })),
      dhtReady() {
        const known = async () => {
          const found = await Promise.all(made.map(({ infoHash }) => getPeers(host, dht.bootstrap, infoHash)))
          return found.every((peers) => everyone.every((peer) => peers.has(peer)))
        }
        return until(known, DHT_READY_MS, () => 'the DHT does not know all clients')
      },
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function until(reached: () => boolean | Promise<boolean>, limitMs: number, missing: () => string): Promise<void> {
  for (let waitedMs = 0; !(await reached()); waitedMs += POLL_MS) {
    if (waitedMs > limitMs) throw new Error(`real clients: ${missing()}`)
    await new Promise((wake) => setTimeout(wake, POLL_MS))
  }
}

interface ClientSettings {
  readonly endpoint: Endpoint
  /** The client's own folder; `torrents` in it has the .torrent files. */
  readonly home: string
  readonly content: string
  readonly torrentFiles: readonly string[]
  readonly bootstrap: readonly HostPort[]
}

/** Writes the configuration; gives the arguments. */
async function transmission({ endpoint, home, content, bootstrap }: ClientSettings): Promise<string[]> {
  const settings = {
    'bind-address-ipv4': endpoint.address,
    'peer-port': endpoint.port,
    'peer-port-random-on-start': false,
    'port-forwarding-enabled': false,
    'lpd-enabled': false,
    'dht-enabled': true,
    'pex-enabled': true,
    'utp-enabled': true,
    'rpc-enabled': false,
    'download-dir': content,
    'watch-dir': join(home, 'torrents'),
    'watch-dir-enabled': true,
    'seed-queue-enabled': false,
    'download-queue-enabled': false,
  }
  await writeFile(join(home, 'settings.json'), JSON.stringify(settings))
  // Read instead of dht.transmissionbt.com; the nodes of dht.dat are asked first.
  const nodes = bootstrap.map(({ host, port }) => ({ address: host, port }))
  await writeFile(join(home, 'dht.bootstrap'), nodes.map(({ address, port }) => `${address} ${port}\n`).join(''))
  const id = seededRandom(endpointKey(endpoint)).bytes(20)
  await writeFile(join(home, 'dht.dat'), encodeBencode({ id, nodes: Buffer.concat(nodes.map(encodeCompact)) }))
  return ['--foreground', '--config-dir', home]
}

function aria2({ endpoint, home, content, torrentFiles, bootstrap }: ClientSettings): string[] {
  const [first] = bootstrap
  return [
    '--no-conf=true',
    '--quiet=true',
    `--dir=${content}`,
    `--listen-port=${endpoint.port}`,
    `--dht-listen-port=${endpoint.port}`,
    '--enable-dht=true',
    '--enable-dht6=false',
    `--dht-file-path=${join(home, 'dht.dat')}`,
    ...(first === undefined ? [] : [`--dht-entry-point=${first.host}:${first.port}`]),
    '--bt-enable-lpd=false',
    '--disable-ipv6=true',
    '--check-integrity=true',
    '--seed-ratio=0.0',
    `--max-concurrent-downloads=${torrentFiles.length}`,
    '--auto-save-interval=0',
    ...torrentFiles,
  ]
}
