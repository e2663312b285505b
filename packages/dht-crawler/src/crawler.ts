/** The DHT crawler (BEP 5): bittorrent-dht's routing table and lookup behind the guarded socket, read-only (BEP 43). */
import {
  type Clock,
  type Endpoint,
  type Gate,
  type HostPort,
  type InfoHash,
  infoHashBytes,
  type Logger,
  type LookupSummary,
  limits,
  type Meter,
  type Observation,
  type Purpose,
  type Random,
  SwarmatlasError,
} from '@swarmatlas/core'
import { Client } from 'bittorrent-dht'
import krpc from 'k-rpc'
import { type BootstrapReport, bootstrap } from './bootstrap.ts'
import type { KrpcQuery, KrpcResponse } from './krpc.ts'
import { type KrpcAnswer, QueryFailure } from './krpc-interface.ts'
import { openKrpcSocket } from './krpc-socket.ts'
import { createLookup, type Lookup } from './lookup.ts'

export interface DhtCrawlerComponents {
  gate: Gate
  clock: Clock
  random: Random
  logger: Logger
  meter: Meter
}

export interface DhtCrawlerOptions {
  /** Nobody else is asked first: an empty list without saved nodes finds nothing. */
  bootstrap: readonly HostPort[]
  /** Queries in flight, over all lookups. */
  concurrency: number
  /** Local port; the system chooses when undefined or 0. */
  port?: number
  /** `nodes()` of an earlier session. */
  savedNodes?: readonly Endpoint[]
}

export interface DhtCrawler extends AsyncDisposable {
  /** Resolves with the first node that answers, or when all have failed. Rejects on abort only. */
  bootstrap(options: { signal: AbortSignal }): Promise<BootstrapReport>
  /**
   * Each peer once for each node that names it. Consumers of one hash share a lookup. A reply holds a random subset of
   * about 100 peers: with `passes` the lookup is repeated until a pass brings no new peer, at most so many times.
   * When `signal` aborts the generator ends with the summary of what was done. Without a node in the table it ends at once.
   */
  getPeers(
    swarm: InfoHash,
    options: { signal: AbortSignal; passes?: number },
  ): AsyncGenerator<Observation, LookupSummary>
  /** A node that somebody named (BEP 5 PORT message, `nodes` of a .torrent): it is pinged, and kept when it answers. */
  addNode(endpoint: Endpoint): void
  /** The routing table. `id`: 40 hex digits. */
  nodes(): { id: string; endpoint: Endpoint }[]
  /** Datagrams that the system refused to send, and why it refused the latest. */
  readonly sendErrors: number
  readonly lastSendError: string | undefined
  /** Ends all lookups; their generators return. Idempotent. */
  close(): Promise<void>
}

interface ActiveLookup {
  readonly lookup: Lookup
  consumers: number
  /** The most that any consumer asked for. */
  passes: number
  passesDone: number
  queriesOfPass: number
}

const NOTHING: LookupSummary = { queries: 0, replies: 0, holders: 0, peers: 0, durationMs: 0 }

/** Rejects with NO_NETWORK when the port cannot be had, with BAD_OPTION for a concurrency below 1. Sends nothing. */
export async function createDhtCrawler(
  components: DhtCrawlerComponents,
  { bootstrap: routers, concurrency, port = 0, savedNodes = [] }: DhtCrawlerOptions,
): Promise<DhtCrawler> {
  const { gate, clock, random, logger, meter } = components
  if (!(concurrency >= 1)) throw new SwarmatlasError('BAD_OPTION', `DHT concurrency ${concurrency} is below 1`)
  if (!gate.families.includes(4)) return crawlerWithoutIpv4

  const lookups = new Map<string, ActiveLookup>()
  const activeOf = (query: KrpcQuery) => query.a.info_hash && lookups.get(query.a.info_hash.toString('hex'))
  const socket = await openKrpcSocket({ gate, clock, random, meter, watcher: { wants, sent, replied } }, { port })
  const inFlight = Math.min(concurrency, limits.dhtQueriesInFlight)
  const rpc = krpc({ krpcSocket: socket, id: random.bytes(20), concurrency: inFlight, bootstrap: false })
  const dht = new Client({ krpc: rpc, bootstrap: false })
  dht.on('error', (error: Error) => logger.warn('bittorrent-dht', { error: error.message }))
  dht.listen()
  let pings = 0
  const closing = new AbortController()
  let closed: Promise<void> | undefined

  function wants(query: KrpcQuery): boolean {
    if (query.q !== 'get_peers') return true
    const active = activeOf(query)
    // bittorrent-dht takes no signal: a lookup that nobody follows ends by having its queries fail.
    if (active === undefined) return false
    if (active.queriesOfPass < limits.dhtQueriesPerPass) return true
    meter.count('dht.capped.queries')
    return false
  }

  function sent(query: KrpcQuery): void {
    const active = activeOf(query)
    if (active === undefined) return
    active.queriesOfPass++
    active.lookup.queries++
  }

  function replied(query: KrpcQuery, response: KrpcResponse, from: Endpoint): void {
    activeOf(query)?.lookup.replied(response, from)
  }

  function startPass(active: ActiveLookup): void {
    const { swarm, peers } = active.lookup
    active.queriesOfPass = 0
    dht.lookup(infoHashBytes(swarm), () => {
      if (lookups.get(swarm) !== active) return
      const again = ++active.passesDone < active.passes && active.lookup.peers > peers
      if (again) startPass(active)
      else stop(active)
    })
  }

  function start(swarm: InfoHash): ActiveLookup {
    const lookup = createLookup({ gate, clock, meter }, { swarm })
    const active = { lookup, consumers: 0, passes: 1, passesDone: 0, queriesOfPass: 0 }
    lookups.set(swarm, active)
    startPass(active)
    return active
  }

  function stop(active: ActiveLookup): void {
    const { lookup } = active
    lookup.end()
    if (lookups.get(lookup.swarm) !== active) return
    // First of all: what is cancelled makes k-rpc ask the next node.
    lookups.delete(lookup.swarm)
    const hash = infoHashBytes(lookup.swarm)
    socket.cancel((query) => query.a.info_hash?.equals(hash) === true)
  }

  async function askForNeighbours(to: Endpoint, purpose: Purpose): Promise<KrpcAnswer | QueryFailure> {
    const query = { q: 'find_node', a: { target: rpc.id } }
    const peer = { host: to.address, port: to.port, purpose }
    const answer = await new Promise<KrpcAnswer | QueryFailure>((resolve) => {
      rpc.query(peer, query, (failure, answer) => resolve(failure ?? (answer as KrpcAnswer)))
    })
    if (!(answer instanceof QueryFailure)) {
      // Lookups shall have more to start from than the routers, which everybody asks.
      const missing = Math.max(0, limits.dhtEntryNodes - rpc.nodes.count() - pings)
      for (const { endpoint } of answer.contacts.slice(0, missing)) crawler.addNode(endpoint)
    }
    return answer
  }

  const crawler: DhtCrawler = {
    async bootstrap({ signal }) {
      const errorsBefore = socket.sendErrors
      const report = await bootstrap(
        {
          clock,
          resolver: gate.resolver,
          ask: askForNeighbours,
          nodeCount: () => rpc.nodes.count(),
          sendError: () => (socket.sendErrors > errorsBefore ? socket.lastSendError : undefined),
        },
        {
          bootstrap: routers,
          savedNodes,
          concurrency: inFlight,
          signal: AbortSignal.any([signal, closing.signal]),
        },
      )
      logger.debug('dht bootstrap', { ...report })
      return report
    },

    async *getPeers(swarm, { signal, passes = 1 }) {
      if (signal.aborted || closed !== undefined) return NOTHING
      const active = lookups.get(swarm) ?? start(swarm)
      active.passes = Math.max(active.passes, passes)
      active.consumers++
      try {
        return yield* active.lookup.follow(signal)
      } finally {
        if (--active.consumers === 0) stop(active)
      }
    },

    addNode({ address, port }) {
      if (closed !== undefined) return
      if (pings >= limits.dhtPendingPings) {
        meter.count('dht.capped.pings')
        return
      }
      pings++
      rpc.query({ host: address, port }, { q: 'ping', a: {} }, () => pings--)
    },

    nodes: () =>
      rpc.nodes.toArray().map(({ id, host, port }) => ({ id: id.toString('hex'), endpoint: { address: host, port } })),

    get sendErrors() {
      return socket.sendErrors
    },
    get lastSendError() {
      return socket.lastSendError
    },

    close() {
      closed ??= new Promise((done) => {
        closing.abort(new SwarmatlasError('ABORTED', 'the DHT crawler was closed'))
        for (const active of [...lookups.values()]) stop(active)
        dht.destroy(done)
      })
      return closed
    },
    [Symbol.asyncDispose]: () => crawler.close(),
  }
  return crawler
}

/** IPv6 (BEP 32) comes with our own lookup engine. */
const crawlerWithoutIpv4: DhtCrawler = {
  async bootstrap() {
    const problem = 'the DHT is asked over IPv4 only, and no IPv4 traffic may leave'
    return { nodes: 0, routersAsked: 0, routersAnswered: 0, afterMs: 0, problem }
  },
  // biome-ignore lint/correctness/useYield: finds nothing
  async *getPeers() {
    return NOTHING
  },
  addNode() {},
  nodes: () => [],
  sendErrors: 0,
  lastSendError: undefined,
  async close() {},
  async [Symbol.asyncDispose]() {},
}
