/** A mapper on the seams of choice, and rounds read to their end. */
import {
  countingMeter,
  endpointKey,
  type Host,
  type HostPort,
  type Logger,
  parseTarget,
  profiles,
  type SwarmatlasEvent,
  silentLogger,
  type Target,
} from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import type { SimPeerSpec, SimSwarmOptions, SimTorrent, SimTorrentSpec } from '@swarmatlas/sim-swarm'
import { memoryJournal } from '@swarmatlas/trackers'
import {
  createMapper,
  type Mapper,
  type MapperOptions,
  ownEndpoints,
  type PeerReport,
  type RoundOptions,
  type RoundResult,
  reportSwarm,
  type SwarmReport,
} from '../src/index.ts'

export const forever = (): AbortSignal => new AbortController().signal

export interface Rig extends AsyncDisposable {
  readonly mapper: Mapper
  readonly counts: ReadonlyMap<string, number>
  /** What was logged as a warning or an error: a round in which nothing broke leaves it empty. */
  readonly complaints: string[]
  map(targets: readonly (string | Target)[], options?: Partial<RoundOptions>): Promise<Mapped>
}

export interface Mapped {
  readonly result: RoundResult
  readonly events: readonly SwarmatlasEvent[]
  readonly reports: readonly SwarmReport[]
  /** Of the first torrent. */
  readonly report: SwarmReport
}

export interface RigOptions extends Partial<MapperOptions> {
  host?: Host
}

export async function openRig(
  { bootstrap }: { bootstrap: readonly HostPort[] },
  { host = nodeHost(), ...options }: RigOptions = {},
): Promise<Rig> {
  const meter = countingMeter()
  const complaints: string[] = []
  const complain = (message: string, fields?: object) => complaints.push(`${message} ${JSON.stringify(fields)}`)
  const logger: Logger = { ...silentLogger, warn: complain, error: complain }
  const settings: MapperOptions = {
    channels: ['dht', 'tracker', 'pex'],
    depth: 'quick',
    profile: profiles.lab,
    stayMs: 1_500,
    announce: true,
    privateOk: false,
    bootstrap,
    version: '0.1.0',
    allowPrivate: true,
    ...options,
  }
  const mapper = await createMapper({ host, logger, meter, journal: memoryJournal() }, settings)
  return {
    mapper,
    counts: meter.counts,
    complaints,
    async map(targets, roundOptions = {}) {
      const parsed = targets.map((target) => (typeof target === 'string' ? parseTarget(target) : target))
      const round = mapper.round(parsed, { signal: forever(), ...roundOptions })
      const events: SwarmatlasEvent[] = []
      for (;;) {
        const step = await round.next()
        if (!step.done) {
          events.push(step.value)
          continue
        }
        const result = step.value
        const isOwn = ownEndpoints(result.swarms, mapper.ownPorts, settings.bind)
        const reports = result.swarms.map((swarm) =>
          reportSwarm(swarm, { geo: { place: () => null }, endedMs: result.endedMs, isOwn, traffic: null }),
        )
        return { result, events, reports, report: reports[0] as SwarmReport }
      }
    },
    [Symbol.asyncDispose]: () => mapper.close(),
  }
}

/** Options of a swarm with one small torrent. */
export function oneTorrent(
  peers: readonly SimPeerSpec[],
  spec: Partial<SimTorrentSpec> = {},
  options: Partial<SimSwarmOptions> = {},
): SimSwarmOptions {
  const torrent = { name: 'one', files: [{ path: 'one', bytes: 100_000 }], pieceLength: 16_384, ...spec, peers }
  return { dhtNodes: 24, httpTracker: true, udpTracker: true, seed: 1, torrents: [torrent], ...options }
}

/** Seeds, leeches and partial seeds in turn. */
export function someone(
  name: string,
  count: number,
  rest: Pick<SimPeerSpec, 'via'> & Partial<SimPeerSpec>,
): SimPeerSpec[] {
  const roles = ['seed', 'leech', 'partial'] as const
  return Array.from({ length: count }, (_, index) => ({
    name: `${name}-${index}`,
    role: roles[index % 3] as 'seed',
    client: 'Transmission 4.0.5',
    ...rest,
  }))
}

export function keysOf(peers: readonly { address: string; port: number }[]): Set<string> {
  return new Set(peers.map(endpointKey))
}

export function endpointsOf(torrent: SimTorrent, wanted: (spec: SimPeerSpec) => boolean = () => true): Set<string> {
  return keysOf(torrent.peers.filter(({ spec }) => wanted(spec)).map(({ endpoint }) => endpoint))
}

export function peerAt(report: SwarmReport, torrent: SimTorrent, name: string): PeerReport | undefined {
  const key = endpointKey(
    (torrent.peers.find((peer) => peer.spec.name === name) as SimTorrent['peers'][number]).endpoint,
  )
  return report.peers.find((peer) => endpointKey(peer) === key)
}

export function ofType<T extends SwarmatlasEvent['type']>(
  events: readonly SwarmatlasEvent[],
  type: T,
): Extract<SwarmatlasEvent, { type: T }>[] {
  return events.filter((event): event is Extract<SwarmatlasEvent, { type: T }> => event.type === type)
}

export function noticesOf(events: readonly SwarmatlasEvent[]): string[] {
  return ofType(events, 'notice').map(({ code }) => code)
}
