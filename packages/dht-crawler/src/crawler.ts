/** The DHT crawler (BEP 5, 32): our own lookups over one guarded socket a family, read-only (BEP 43). */
import { setMaxListeners } from 'node:events'
import {
  type Clock,
  type Endpoint,
  type Family,
  familyOf,
  type Gate,
  type HostPort,
  type InfoHash,
  type Logger,
  limits,
  type Meter,
  type Observation,
  type Random,
  SwarmatlasError,
} from '@swarmatlas/core'
import { type BootstrapReport, bootstrap } from './bootstrap.ts'
import { type DhtState, readState, stateOf } from './dht-state.ts'
import { createKnownNodes } from './known-nodes.ts'
import { createObservationLog, type ObservationLog } from './lookup/observation-log.ts'
import {
  createPeerSearch,
  type Depth,
  type DhtLookupSummary,
  type DhtSide,
  type PeerSearch,
} from './lookup/peer-search.ts'
import { askPatiently } from './patient-query.ts'
import { type NodeWatcher, openQuerySocket, type PacketBudget } from './query-socket.ts'
import { createQueryWindow } from './query-window.ts'
import { checkReceiveBuffer, type ReceiveBufferCheck } from './receive-window.ts'
import { createIpv4Table, createIpv6Table } from './routing-table.ts'

export interface DhtCrawlerComponents {
  gate: Gate
  clock: Clock
  random: Random
  logger: Logger
  meter: Meter
  /** Asked before each query. */
  budget?: PacketBudget
}

export interface DhtCrawlerOptions {
  /** Asked when the saved nodes fail. An empty list without saved nodes finds nothing. */
  bootstrap: readonly HostPort[]
  /** Queries in flight, over all lookups; less when the receive buffer holds fewer replies. */
  concurrency: number
  /** Local port; the system chooses when undefined or 0. */
  port?: number
  /** Nodes of an earlier session, beside those of `state`. */
  savedNodes?: readonly Endpoint[]
  /** `state()` of an earlier session, from a file: what is not understood is left out. */
  state?: unknown
}

/**
 * `quick` asks the 8 nearest live nodes once, which finds most of the peers. `thorough` asks the nearest 32, and their
 * holders again and again until hardly a peer is new: some seconds up to a minute.
 */
export type LookupDepth = 'quick' | 'thorough'

export interface GetPeersOptions {
  signal: AbortSignal
  depth?: LookupDepth
  /** The holders are asked so many times at most, the first included; `depth` sets its own number. */
  passes?: number
}

export interface DhtCrawler extends AsyncDisposable {
  /** Resolves when some nodes have answered, or when all have failed. Rejects on abort only. */
  bootstrap(options: { signal: AbortSignal }): Promise<BootstrapReport>
  /**
   * Each peer once for each node that names it. Consumers of one hash share a lookup, which goes as deep as any of them
   * wants. When `signal` aborts the generator ends with the summary of what was done. Without a node it ends at once.
   */
  getPeers(swarm: InfoHash, options: GetPeersOptions): AsyncGenerator<Observation, DhtLookupSummary>
  /** A node that somebody named (BEP 5 PORT message, `nodes` of a .torrent): it is pinged, and kept when it answers. */
  addNode(endpoint: Endpoint): void
  /** The routing tables. `id`: 40 hex digits. */
  nodes(): { id: string; endpoint: Endpoint }[]
  /** For the next session. */
  state(): DhtState
  /** Whether the system's receive buffers limit us, socket by socket. */
  readonly receiveBuffers: readonly ReceiveBufferCheck[]
  /** Datagrams that the system refused to send, and why it refused the latest. */
  readonly sendErrors: number
  readonly lastSendError: string | undefined
  /** Ends all lookups; their generators return. Idempotent. */
  close(): Promise<void>
}

interface ActiveLookup {
  readonly log: ObservationLog
  readonly search: PeerSearch
  consumers: number
}

const NOTHING: DhtLookupSummary = {
  queries: 0,
  replies: 0,
  timeouts: 0,
  holders: 0,
  peers: 0,
  distanceBits: 0,
  rounds: 0,
  durationMs: 0,
}

/** Rejects with NO_NETWORK when no port can be had, with BAD_OPTION for a concurrency below 1. Sends nothing. */
export async function createDhtCrawler(
  components: DhtCrawlerComponents,
  options: DhtCrawlerOptions,
): Promise<DhtCrawler> {
  const { gate, clock, random, logger, meter } = components
  const { bootstrap: routers, concurrency, savedNodes = [] } = options
  if (!(concurrency >= 1)) throw new SwarmatlasError('BAD_OPTION', `DHT concurrency ${concurrency} is below 1`)
  // A lab's nodes share few networks; its profile lifts the limits on them.
  const lab = gate.policy.profile.firstContactsPerPrefix === Number.POSITIVE_INFINITY
  const saved = readState(options.state)
  const sides = await openSides()
  const receiveBuffers = sides.map(({ socket }) => checkReceiveBuffer(socket.receiveBufferBytes))
  const size = Math.min(concurrency, ...receiveBuffers.map(({ window }) => window))
  const window = createQueryWindow({ size })
  const lookups = new Map<InfoHash, ActiveLookup>()
  const closing = new AbortController()
  // All queries and lookups may listen to it.
  setMaxListeners(0, closing.signal)
  let pings = 0
  let closed: Promise<void> | undefined

  async function openSides(): Promise<DhtSide[]> {
    const attempts = await Promise.allSettled(gate.families.map(openSide))
    const opened = attempts.flatMap((attempt) => (attempt.status === 'fulfilled' ? [attempt.value] : []))
    const failures = attempts.flatMap((attempt) => (attempt.status === 'rejected' ? [attempt.reason] : []))
    if (opened.length === 0) throw failures[0]
    for (const failure of failures) logger.debug('no DHT over one family', { error: String(failure) })
    return opened
  }

  async function openSide(family: Family): Promise<DhtSide> {
    const known = createKnownNodes()
    const watcher: NodeWatcher = {
      answered(id, endpoint) {
        known.answered(id, endpoint)
        side.table.answered(id, endpoint)
      },
      lost(endpoint, id) {
        known.lost(endpoint, id)
        side.table.lost(endpoint, id)
      },
    }
    const socket = await openQuerySocket(
      { ...components, watcher },
      { family, port: options.port ?? 0, lab, id: saved.id(family), unanswered: saved.unanswered },
    )
    const table = family === 4 ? createIpv4Table({ socket, clock, logger }) : createIpv6Table({ socket, clock })
    const side: DhtSide = { family, socket, known, table, routers: new Map() }
    return side
  }

  function start(swarm: InfoHash, depth: Depth): ActiveLookup {
    const log = createObservationLog({ clock, gate, meter }, { swarm })
    const search = createPeerSearch(
      { clock, window, log, sides, ended: () => ended(swarm, active) },
      {
        swarm,
        depth,
        alpha: limits.dhtAlpha,
        perPrefix: lab ? Number.POSITIVE_INFINITY : limits.dhtNearestPerPrefix,
      },
    )
    const active: ActiveLookup = { log, search, consumers: 0 }
    lookups.set(swarm, active)
    search.start()
    return active
  }

  function ended(swarm: InfoHash, active: ActiveLookup): void {
    if (lookups.get(swarm) === active) lookups.delete(swarm)
    logger.debug('dht lookup', { swarm, ...active.search.summary })
  }

  const crawler: DhtCrawler = {
    async bootstrap({ signal }) {
      const report = await bootstrap(
        { clock, random, resolver: gate.resolver, sides },
        {
          bootstrap: routers,
          savedNodes: [...saved.nodes, ...savedNodes],
          // A home router must not see a minute's worth of new endpoints at once.
          pool: Math.min(limits.dhtEntryPool, gate.policy.profile.newEndpointsPerMinute / 8),
          concurrency: size,
          signal: AbortSignal.any([signal, closing.signal]),
          closing: closing.signal,
        },
      )
      logger.debug('dht bootstrap', { ...report })
      return report
    },

    async *getPeers(swarm, { signal, depth = 'quick', passes = 1 }) {
      if (signal.aborted || closed !== undefined) return NOTHING
      const wanted = depth === 'thorough' ? THOROUGH : { nodes: limits.dhtQuickNodes, rounds: passes - 1 }
      const active = lookups.get(swarm) ?? start(swarm, wanted)
      active.search.deepen(wanted)
      active.consumers++
      try {
        // Not by a generator of the log's: each layer costs a microtask or two an observation.
        const { log, search } = active
        for (let next = 0; !signal.aborted; ) {
          const observation = log.at(next)
          if (observation !== undefined) {
            next++
            yield observation
          } else if (log.ended) break
          else await log.change(signal)
        }
        return search.summary
      } finally {
        if (--active.consumers === 0) active.search.stop()
      }
    },

    addNode(to) {
      const side = sides.find(({ family }) => family === familyOf(to.address))
      if (closed !== undefined || side === undefined) return
      if (pings >= limits.dhtPendingPings) {
        meter.count('dht.capped.pings')
        return
      }
      pings++
      askPatiently({ socket: side.socket, clock }, { to, query: { method: 'ping' } }, closing.signal).then(
        () => pings--,
      )
    },

    nodes: () =>
      sides.flatMap(({ table }) => table.nodes().map(({ id, endpoint }) => ({ id: id.toString('hex'), endpoint }))),
    state: () => stateOf(sides),
    receiveBuffers,

    get sendErrors() {
      return sides.reduce((sum, { socket }) => sum + socket.sendErrors, 0)
    },
    get lastSendError() {
      return sides.map(({ socket }) => socket.lastSendError).find((error) => error !== undefined)
    },

    close() {
      closed ??= (async () => {
        closing.abort(new SwarmatlasError('ABORTED', 'the DHT crawler was closed'))
        for (const { search } of [...lookups.values()]) search.stop()
        await Promise.all(sides.map(({ table }) => table.close()))
        await Promise.all(sides.map(({ socket }) => socket.close()))
      })()
      return closed
    },
    [Symbol.asyncDispose]: () => crawler.close(),
  }
  return crawler
}

const THOROUGH: Depth = { nodes: limits.dhtThoroughNodes, rounds: limits.dhtThoroughRounds }
