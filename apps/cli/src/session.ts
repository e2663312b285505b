/** Opens a mapper for one command and runs one round with it: the path that lookup, map and demo share. */

import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import {
  type Blocklist,
  endpointKey,
  type Geo,
  type GeoDatabase,
  type Host,
  inboundConnections,
  type Logger,
  messageOf,
  parseBlocklist,
  parseOptOut,
  SwarmatlasError,
  type SwarmatlasEvent,
  silentLogger,
  type Target,
} from '@swarmatlas/core'
import { descriptorLimit, nodeHost } from '@swarmatlas/core/node'
import {
  createMapper,
  type Mapper,
  type MapperOptions,
  ownEndpoints,
  type RoundResult,
  reportSwarm,
  reportTraffic,
  type SwarmReport,
  type TrafficReport,
} from '@swarmatlas/mapper'
import { openPeerGraph } from '@swarmatlas/peer-graph'
import { openTrackerJournal } from '@swarmatlas/trackers'
import { stateDir } from './directories.ts'
import { familiesOf, type NetworkOptions, profileOf } from './options.ts'
import { survivingWriter } from './surviving-writer.ts'
import { version } from './version.ts'

export interface RoundRequest {
  readonly targets: readonly Target[]
  readonly options: NetworkOptions
  /** Undefined: nothing is stored. */
  readonly storeDir?: string | undefined
  readonly command: string
  readonly geo: Geo
  readonly logger?: Logger
  readonly signal: AbortSignal
  onEvent(event: SwarmatlasEvent): void
}

export interface RoundOutcome {
  readonly round: {
    number: number
    startedMs: number
    endedMs: number
    reason: RoundResult['reason']
    vantage: string
    traffic: TrafficReport
  }
  readonly swarms: SwarmReport[]
  readonly database: GeoDatabase
  /** Why the network could not be used; undefined when it could. */
  readonly networkProblem: string | undefined
  /** What the store failed with; undefined when it holds the round. */
  readonly storeFailure: unknown
}

/** Runs one round from opening the sockets to the last `stopped`. */
export async function runOneRound(request: RoundRequest): Promise<RoundOutcome> {
  refusePrivate(request.targets, request.options)
  const kept: { outcome?: RoundOutcome } = {}
  try {
    await openAndRun(request, (outcome) => {
      kept.outcome = outcome
    })
  } catch (error) {
    // What was found is not lost when the store cannot be closed.
    if (kept.outcome === undefined) throw error
    return { ...kept.outcome, storeFailure: kept.outcome.storeFailure ?? error }
  }
  return kept.outcome as RoundOutcome
}

async function openAndRun(request: RoundRequest, keep: (outcome: RoundOutcome) => void): Promise<void> {
  const { targets, options, storeDir, geo, logger = silentLogger } = request
  const host = nodeHost({ localAddress: options.bind })
  await using store =
    storeDir === undefined
      ? undefined
      : await openPeerGraph({ clock: host.clock, logger }, { dir: storeDir, create: true, command: request.command })
  await using mapper = await openMapper(host, options, logger)
  const vantage = vantageOf(options)
  const opened = await store?.startRound({ atMs: host.clock.now(), vantage, command: request.command })
  const stored = opened === undefined ? undefined : survivingWriter(opened, geo)
  const signal = stored === undefined ? request.signal : AbortSignal.any([request.signal, stored.signal])
  const round = mapper.round(targets, { signal, deadlineMs: options.deadline, store: stored?.writer })
  let result: RoundResult
  for (;;) {
    const step = await round.next()
    if (step.done) {
      result = step.value
      break
    }
    request.onEvent(step.value)
  }
  const networkProblem = await findNetworkProblem(mapper, result, options)
  const database = await geo.load()
  const { number, startedMs, endedMs, reason } = result
  const traffic = reportTraffic(mapper.gate.ledger.totals())
  const isOwn = ownEndpoints(result.swarms, mapper.ownPorts, options.bind)
  const swarms = result.swarms.map((swarm) =>
    sinceProcessStart(reportSwarm(swarm, { geo, endedMs, isOwn, traffic: targets.length === 1 ? traffic : null })),
  )
  keep({
    round: { number, startedMs, endedMs, reason, vantage, traffic },
    swarms,
    database,
    networkProblem,
    storeFailure: stored?.failure,
  })
}

/** Counts from where the user began to wait: the start of the process. */
function sinceProcessStart(report: SwarmReport): SwarmReport {
  const startedMs = Math.floor(performance.timeOrigin)
  const earlierMs = report.startedMs - startedMs
  const { metadata, elapsedMs } = report
  return {
    ...report,
    startedMs,
    elapsedMs: elapsedMs + earlierMs,
    metadata: metadata?.from ? { ...metadata, afterMs: metadata.afterMs + earlierMs } : metadata,
  }
}

async function openMapper(host: Host, options: NetworkOptions, logger: Logger): Promise<Mapper> {
  const journal = await openTrackerJournal({
    path: join(stateDir(), 'trackers.ndjson'),
    clock: host.clock,
    pid: process.pid,
    isAlive: isProcessAlive,
  })
  return createMapper(
    { host, logger, meter: { count() {} }, journal },
    {
      channels: options.channels,
      depth: options.depth,
      profile: profileOf(options.profile),
      stayMs: options.stay,
      announce: options.announce,
      privateOk: options.privateOk ?? false,
      bootstrap: options.bootstrap,
      version,
      allowPrivate: options.allowPrivate ?? false,
      optOut: options.optOut === undefined ? [] : parseOptOut(await readOption('opt-out', options.optOut)),
      blocklist: await readBlocklist(options),
      listen: await listenSettings(options),
      bind: options.bind,
      families: familiesOf(options),
    },
  )
}

async function readOption(option: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new SwarmatlasError('BAD_OPTION', `--${option}: cannot read ${path}: ${messageOf(error)}`, { cause: error })
  }
}

async function readBlocklist({ blocklist: path }: NetworkOptions): Promise<Blocklist | undefined> {
  return path === undefined ? undefined : parseBlocklist(await readOption('blocklist', path), `--blocklist ${path}`)
}

async function listenSettings({ listen: port, profile }: NetworkOptions): Promise<MapperOptions['listen']> {
  if (port === undefined) return undefined
  const { sessions } = profileOf(profile)
  return { port, connections: inboundConnections({ descriptors: await descriptorLimit(), sessions }) }
}

/** Whom peers can call sees other peers: that is another place to look from. */
function vantageOf({ listen }: NetworkOptions): string {
  return listen === undefined ? hostname() : `${hostname()}, listening`
}

function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it lives, under another user.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** A .torrent says at once that it is private: then nothing at all is sent without the user's word. */
function refusePrivate(targets: readonly Target[], { privateOk }: NetworkOptions): void {
  const [target] = targets
  if (privateOk || targets.length !== 1 || !target?.info?.info.private) return
  throw new SwarmatlasError('BAD_TARGET', `${target.info.info.name} is a private torrent: nothing was sent`, {
    hint: 'an unlisted client can cost you your account at its tracker; --private-ok asks its trackers all the same (never the DHT or PEX)',
  })
}

/** Says why nothing at all could be reached. A peer or an answer from anybody means that the network works. */
async function findNetworkProblem(
  mapper: Mapper,
  result: RoundResult,
  { bootstrap }: NetworkOptions,
): Promise<string | undefined> {
  const trackers = result.swarms.flatMap((swarm) => swarm.trackers)
  const someoneSpoke =
    result.swarms.some((swarm) => swarm.peers.size > swarm.target.peers.length) ||
    trackers.some((tracker) => !['timeout', 'unreachable', 'refused', 'forbidden'].includes(tracker.outcome))
  if (someoneSpoke) return undefined
  const dht = await mapper.bootstrapped?.catch(() => undefined)
  if (dht?.problem !== undefined) {
    const asked = bootstrap.map(({ host, port }) => endpointKey({ address: host, port })).join(', ')
    return `${dht.problem} (DHT bootstrap: ${asked})`
  }
  if (
    mapper.bootstrapped === undefined &&
    trackers.length > 0 &&
    trackers.every((tracker) => tracker.outcome === 'unreachable')
  ) {
    return `no tracker can be reached: ${trackers[0]?.detail ?? 'no route'}`
  }
  return undefined
}
