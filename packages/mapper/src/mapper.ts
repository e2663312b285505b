/** The mapper: wires gate and collectors together and runs rounds over them. */
import {
  type Blocklist,
  createAddressPolicy,
  createGate,
  type Gate,
  type HeldPort,
  type Host,
  type HostPort,
  type Logger,
  limits,
  type Meter,
  messageOf,
  type SharedUdpGate,
  SwarmatlasError,
  type SwarmatlasEvent,
  shareUdp,
  type Target,
} from '@swarmatlas/core'
import { type BootstrapReport, createDhtCrawler, type DhtCrawler } from '@swarmatlas/dht-crawler'
import { createHarvester, createListener, createUtp } from '@swarmatlas/pex-harvester'
import { createTrackerClient, type TrackerJournal } from '@swarmatlas/trackers'
import { createPeerId } from './identity.ts'
import { type RoundCollectors, type RoundOptions, type RoundResult, runRound } from './round.ts'
import { createSemaphore } from './semaphore.ts'
import { createSessionPool } from './session-pool.ts'
import type { RoundSettings } from './settings.ts'

export interface MapperComponents {
  readonly host: Host
  readonly logger: Logger
  readonly meter: Meter
  /** Closed with the mapper, also when that cannot be made. */
  readonly journal: TrackerJournal
}

export interface MapperOptions extends RoundSettings {
  readonly bootstrap: readonly HostPort[]
  readonly version: string
  readonly allowPrivate?: boolean
  readonly optOut?: readonly string[]
  readonly blocklist?: Blocklist | undefined
  /** All traffic leaves from this address or not at all. */
  readonly bind?: string | undefined
  readonly families?: readonly (4 | 6)[] | undefined
}

export interface Mapper extends AsyncDisposable {
  readonly gate: Gate
  /** The port we announce; unless `listen` is set, nothing listens there for peers. */
  readonly port: number
  /** Ports that others may take for a peer of ours: the announced one and those we dialled from. */
  readonly ownPorts: ReadonlySet<number>
  /** How the DHT was entered; undefined when it was not. */
  readonly bootstrapped: Promise<BootstrapReport> | undefined
  round(targets: readonly Target[], options: RoundOptions): AsyncGenerator<SwarmatlasEvent, RoundResult>
  /** Ends the rounds under way, says `stopped` to the trackers and closes all sockets. Idempotent. */
  close(): Promise<void>
}

/** Rejects with BAD_OPTION, or NO_NETWORK when a socket cannot be had. Sends nothing but what an earlier process owes its trackers. */
export async function createMapper(components: MapperComponents, options: MapperOptions): Promise<Mapper> {
  try {
    return await openMapper(components, options)
  } catch (error) {
    await components.journal.close()
    throw error
  }
}

async function openMapper({ host, logger, meter, journal }: MapperComponents, options: MapperOptions): Promise<Mapper> {
  const { clock, random } = host
  const { profile, channels, bind, families } = options
  const { allowPrivate = false, optOut = [], blocklist, listen } = options
  const policy = createAddressPolicy({ clock }, { profile, allowPrivate, optOut, blocklist })
  const gate = shareUdp(
    { gate: createGate({ host, policy, meter }, { bind, families }), meter },
    { port: listen?.port },
  )
  const components = { gate, clock, random, logger, meter }
  const peerId = createPeerId(random, options.version)
  const stopping = new AbortController()
  const running = new Set<Promise<unknown>>()
  const openDht = () =>
    createDhtCrawler(components, { bootstrap: options.bootstrap, concurrency: profile.dhtConcurrency })

  const held = await holdPort(gate, listen?.port)
  const trackers = channels.includes('tracker')
    ? createTrackerClient(
        { ...components, journal },
        { peerId, port: held.local.port, userAgent: clientName(options.version) },
      )
    : undefined
  const dht = channels.includes('dht')
    ? await openDht().catch(async (error: unknown) => {
        await Promise.all([trackers?.close(), held.close()])
        throw error
      })
    : undefined
  const utp = channels.includes('pex') || listen !== undefined ? createUtp(components) : undefined
  const identity = { peerId, clientName: clientName(options.version) }
  const listener =
    listen &&
    (await createListener(
      { ...components, utp },
      { ...identity, port: held.local.port, connections: listen.connections ?? limits.inboundConnections },
    ).catch(async (error: unknown) => {
      await Promise.all([trackers?.close(), dht?.close(), utp?.close(), held.close()])
      throw error
    }))
  let bootstrapped: Promise<BootstrapReport> | undefined
  const enter = (crawler: DhtCrawler) => {
    if (bootstrapped === undefined) {
      bootstrapped = crawler.bootstrap({ signal: stopping.signal })
      // Whoever waits for it sees the abort; nobody else has to.
      bootstrapped.catch(() => {})
    }
    return bootstrapped
  }
  // What a process that was killed still owes its trackers is paid by the next one.
  const settling = trackers?.settleDebts({ signal: stopping.signal }).catch((error: unknown) => {
    if (!stopping.signal.aborted) logger.warn('owed `stopped` announces could not be sent', { error: messageOf(error) })
  })
  const collectors: RoundCollectors = {
    clock,
    resolver: host.resolver,
    logger,
    meter,
    policy,
    settings: options,
    dht: dht && { crawler: dht, enter: () => enter(dht) },
    trackers,
    harvester: channels.includes('pex')
      ? createHarvester({ ...components, utp }, { ...identity, listenPort: listener?.port })
      : undefined,
    listener,
    pool: createSessionPool({ places: profile.sessions }),
    lookups: createSemaphore({ places: limits.lookupsAtOnce }),
    announces: createSemaphore({ places: limits.announcesAtOnce }),
    closing: stopping.signal,
    running,
  }

  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= (async () => {
      stopping.abort()
      await Promise.all([settling, ...running])
      await listener?.close()
      await Promise.all([trackers?.close(), dht?.close(), utp?.close()])
      await Promise.all([held.close(), journal.close()])
    })()
    return closing
  }
  return {
    gate,
    port: held.local.port,
    get ownPorts() {
      return new Set([held.local.port, ...gate.sourcePorts])
    },
    get bootstrapped() {
      return bootstrapped
    },
    round: (targets, roundOptions) => runRound(collectors, targets, roundOptions),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/**
 * A tracker lists whoever announces, with a port. The UDP port that DHT and uTP share is open as long as the mapper is,
 * its TCP twin closed or our listener's: so that nobody is sent to a stranger's service.
 */
async function holdPort(gate: SharedUdpGate, port: number | undefined): Promise<HeldPort> {
  try {
    return await gate.hold(gate.families[0] ?? 4)
  } catch (error) {
    throw new SwarmatlasError('NO_NETWORK', `no UDP socket can be opened: ${messageOf(error)}`, {
      cause: error,
      hint: port
        ? `is another client using port ${port}? --listen takes any other`
        : 'check that the address given by --bind is an address of this machine',
    })
  }
}

function clientName(version: string): string {
  return `Swarmatlas ${version}`
}
