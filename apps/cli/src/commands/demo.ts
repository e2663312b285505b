/** `swarmatlas demo`: starts a swarm of its own on loopback, maps it as any other, and compares with the truth. */
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endpointKey, parseTarget } from '@swarmatlas/core'
import { nodeClock, nodeHost } from '@swarmatlas/core/node'
import type { SwarmReport } from '@swarmatlas/mapper'
import { demoSwarmOptions, type SimTorrent, startSimSwarm } from '@swarmatlas/sim-swarm'
import { demoGeo } from '../demo-places.ts'
import { catchInterrupt } from '../interrupt.ts'
import { writeMap } from '../map-files.ts'
import type { NetworkOptions } from '../options.ts'
import { print, printJson } from '../output.ts'
import { liveProgress, noProgress } from '../progress.ts'
import { runOneRound } from '../session.ts'
import { swarmText } from '../swarm-text.ts'
import { columnsOf, type Style, styleFor, table } from '../terminal.ts'
import { exitCode } from './lookup.ts'

export async function demo(options: { store?: string; theme: 'light' | 'dark'; json?: boolean }): Promise<number> {
  const storeDir = options.store ?? (await mkdtemp(join(tmpdir(), 'swarmatlas-demo-')))
  const style = styleFor(process.stdout)
  const columns = columnsOf(process.stdout)
  await using swarm = await startSimSwarm({ host: nodeHost() }, demoSwarmOptions())
  const [torrent] = swarm.torrents as readonly [SimTorrent]
  using progress = options.json
    ? noProgress
    : liveProgress({ clock: nodeClock, stream: process.stderr, style: styleFor(process.stderr) }, { showPeers: true })
  using interrupt = catchInterrupt(() => progress.say('finishing; Ctrl-C again to stop now'))
  if (!options.json) {
    await print(
      `A swarm of ${torrent.peers.length} peers, 46 DHT nodes and two trackers runs on this machine.\nThe mapper is given its magnet link and one bootstrap address, nothing else:\n\n${torrent.magnet}\n\n`,
    )
  }
  const network: NetworkOptions = {
    bootstrap: swarm.bootstrap,
    channels: ['dht', 'tracker', 'pex'],
    depth: 'quick',
    deadline: 45_000,
    stay: 5_000,
    profile: 'lab',
    announce: true,
    allowPrivate: true,
    logLevel: 'warn',
  }
  const outcome = await runOneRound({
    targets: [parseTarget(torrent.magnet)],
    options: network,
    storeDir,
    command: 'demo',
    geo: demoGeo(torrent.peers.map((peer) => peer.endpoint)),
    signal: interrupt.signal,
    onEvent: (event) => progress.onEvent(event),
  })
  progress[Symbol.dispose]()
  const [report] = outcome.swarms as [SwarmReport]
  const files = await writeMap(outcome, { storeDir, theme: options.theme, demo: true })
  const recall = compare(report, torrent)
  if (options.json) await printJson({ ...report, recall, files })
  else {
    const text = swarmText(report, { style, columns, database: outcome.database })
    await print(
      `${text}\n\n${recallText(recall, columns, style)}\n\nThe peer graph is in ${storeDir}; the world map:\n${files[0]}\n`,
    )
  }
  return exitCode(outcome, interrupt.interrupted)
}

interface Recall {
  /** Peers that are alive, by how they can be found; `seen` and `handshaken` of them by the mapper. */
  readonly groups: { via: string; alive: number; seen: number; handshaken: number }[]
  readonly recall: number
  readonly rolesRight: number
  readonly rolesKnown: number
  /** Endpoints reported beyond hearsay that are no peer of the swarm. */
  readonly falseEndpoints: number
}

/** What was found against what is there: the mapper knew nothing of this. */
function compare(report: SwarmReport, torrent: SimTorrent): Recall {
  const found = new Map(report.peers.map((peer) => [endpointKey(peer), peer]))
  const alive = torrent.peers.filter((peer) => peer.alive)
  const shaken = (key: string) => ['handshaken', 'role-known'].includes(found.get(key)?.evidence ?? '')
  const group = (via: string, peers: typeof alive) => {
    const keys = peers.map((peer) => endpointKey(peer.endpoint))
    return {
      via,
      alive: keys.length,
      seen: keys.filter((key) => found.has(key)).length,
      handshaken: keys.filter(shaken).length,
    }
  }
  const ways = [...new Set(alive.map((peer) => peer.spec.via.join(' + ')))]
  const all = group('all', alive)
  const known = alive.filter((peer) => found.get(endpointKey(peer.endpoint))?.role)
  const truth = new Set(torrent.peers.map((peer) => endpointKey(peer.endpoint)))
  return {
    groups: [
      ...ways.map((way) =>
        group(
          way,
          alive.filter((peer) => peer.spec.via.join(' + ') === way),
        ),
      ),
      all,
    ],
    recall: all.seen / all.alive,
    rolesKnown: known.length,
    rolesRight: known.filter((peer) => found.get(endpointKey(peer.endpoint))?.role === peer.spec.role).length,
    falseEndpoints: report.peers.filter((peer) => peer.evidence !== 'hearsay' && !truth.has(endpointKey(peer))).length,
  }
}

function recallText(
  { groups, recall, rolesKnown, rolesRight, falseEndpoints }: Recall,
  columns: number,
  style: Style,
): string {
  const rows = groups.map(({ via, alive, seen, handshaken }) => [via, String(alive), String(seen), String(handshaken)])
  const lines = table(
    [
      { head: 'can be found by' },
      { head: 'alive', align: 'right' },
      { head: 'seen', align: 'right' },
      { head: 'handshaken', align: 'right' },
    ],
    rows,
    columns,
    style,
  )
  return [
    style.bold('Against the truth of the demo'),
    ...lines,
    `Recall ${(recall * 100).toFixed(1)} %; roles right ${rolesRight} of ${rolesKnown}; ${falseEndpoints} false endpoints above hearsay.`,
  ].join('\n')
}
