/**
 * Joining the DHT: nodes of an earlier session are asked first, bootstrap nodes when those fail, then the nodes that
 * they name, until enough nodes all over the DHT are known to start lookups from.
 */
import {
  type Clock,
  deadline,
  type Endpoint,
  endpointKey,
  familyOf,
  type HostPort,
  limits,
  type Random,
  type Resolver,
  sleep,
} from '@swarmatlas/core'
import { unpackContacts } from './contact.ts'
import type { DhtSide } from './lookup/peer-search.ts'
import { askPatiently, isSound, type PatientOutcome } from './patient-query.ts'

export interface BootstrapReport {
  /** Nodes known to answer, bootstrap nodes included. */
  readonly nodes: number
  /** Addresses of bootstrap hosts that a query went to, and those that had answered by now. */
  readonly routersAsked: number
  readonly routersAnswered: number
  readonly afterMs: number
  /** Why there is no node, in words. */
  readonly problem?: string
}

export interface BootstrapComponents {
  clock: Clock
  random: Random
  resolver: Resolver
  /** One a family; at least one. */
  sides: readonly DhtSide[]
}

export interface BootstrapOptions {
  bootstrap: readonly HostPort[]
  savedNodes: readonly Endpoint[]
  /** Nodes known to answer after which joining is done. */
  pool: number
  /** Queries in flight. */
  concurrency: number
  signal: AbortSignal
  /** Ends what goes on after the report. */
  closing: AbortSignal
}

interface Errand {
  readonly to: Endpoint
  readonly expectedId: Buffer | undefined
  readonly purpose: 'bootstrap' | 'dht'
}

/** Resolves when some nodes have answered, or when all have failed; the rest goes on. Rejects on abort only. */
export async function bootstrap(
  { clock, random, resolver, sides }: BootstrapComponents,
  { bootstrap: routers, savedNodes, pool, concurrency, signal, closing }: BootstrapOptions,
): Promise<BootstrapReport> {
  signal.throwIfAborted()
  const startedMs = clock.monotonic()
  const tally = { resolved: 0, asked: 0, answered: 0, refused: new Set<string>() }
  const errorsBefore = sides.map(({ socket }) => socket.sendErrors)
  const known = () => sides.reduce((sum, side) => sum + side.known.count, 0)
  const queue: Errand[] = []
  const seen = new Set<string>()
  let running = 0
  let queries = 0
  let asking = true
  let report: (() => void) | undefined

  function add(errand: Errand): void {
    const key = endpointKey(errand.to)
    if (seen.has(key) || !sides.some(({ family }) => family === familyOf(errand.to.address))) return
    seen.add(key)
    queue.push(errand)
  }

  function run(): void {
    while (asking && running < concurrency && queries < limits.dhtEntryQueries) {
      const errand = queue.shift()
      if (errand === undefined) break
      running++
      queries++
      ask(errand).then(() => {
        running--
        if (known() >= limits.dhtEntryNodes) report?.()
        if (known() >= pool || closing.aborted) asking = false
        run()
      })
    }
    settle?.()
  }
  let settle: (() => void) | undefined

  /** Random targets: what is named then lies all over the DHT, as the lookups will. */
  async function ask({ to, expectedId, purpose }: Errand): Promise<void> {
    const side = sides.find(({ family }) => family === familyOf(to.address)) as DhtSide
    if (purpose === 'bootstrap') tally.asked++
    const want = sides.length > 1 ? ('both' as const) : undefined
    const query = { method: 'find_node' as const, target: random.bytes(20), want }
    const outcome = await askPatiently({ socket: side.socket, clock }, { to, expectedId, purpose, query }, closing)
    if (purpose === 'bootstrap') heardRouter(side, to, outcome)
    if (!isSound(outcome)) return
    for (const { family } of sides) {
      const packed = family === 4 ? outcome.response.nodes : outcome.response.nodes6
      const named = sides.find((other) => other.family === family) as DhtSide
      for (const contact of unpackContacts(packed, family)) {
        named.known.heardOf(contact)
        add({ to: contact.endpoint, expectedId: contact.id, purpose: 'dht' })
      }
    }
  }

  function heardRouter({ routers }: DhtSide, to: Endpoint, outcome: PatientOutcome): void {
    if (outcome.kind === 'unsent') {
      tally.asked--
      if (outcome.refusal !== undefined) tally.refused.add(outcome.refusal.reason)
    } else if (isSound(outcome)) {
      tally.answered++
      routers.set(endpointKey(to), to)
    }
  }

  async function askRouters(): Promise<void> {
    const lookedUp = routers.map(async ({ host, port }) => {
      using limit = deadline(clock, limits.dhtResolveTimeoutMs, signal)
      const found = await resolver.resolve(host, { signal: limit.signal }).catch(() => [])
      for (const { family } of sides) {
        const addresses = found.filter((address) => familyOf(address) === family).slice(0, limits.dhtAddressesPerRouter)
        tally.resolved += addresses.length
        for (const address of addresses) add({ to: { address, port }, expectedId: undefined, purpose: 'bootstrap' })
      }
      run()
    })
    await Promise.all(lookedUp)
  }

  /** Resolves when nobody is left to ask. */
  async function exhausted(): Promise<void> {
    await new Promise<void>((resolve) => {
      settle = () => {
        if (running === 0 && (queue.length === 0 || !asking || queries >= limits.dhtEntryQueries)) resolve()
      }
      run()
    })
  }

  async function join(): Promise<void> {
    for (const to of savedNodes.slice(0, limits.dhtSavedNodes)) add({ to, expectedId: undefined, purpose: 'dht' })
    if (queue.length > 0) {
      await Promise.race([exhausted(), sleep(clock, limits.dhtSavedNodesMs, closing).catch(() => {})])
    }
    if (known() === 0) await askRouters()
    await exhausted()
  }

  await new Promise<void>((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    report = () => {
      signal.removeEventListener('abort', abort)
      resolve()
    }
    join().then(report, reject)
  })
  const nodes = known() + tally.answered
  return {
    nodes,
    routersAsked: tally.asked,
    routersAnswered: tally.answered,
    afterMs: clock.monotonic() - startedMs,
    ...(nodes === 0 ? { problem: problem() } : {}),
  }

  function problem(): string {
    if (routers.length + savedNodes.length === 0) return 'no bootstrap node was given'
    if (tally.resolved + savedNodes.length === 0) return 'no name resolved'
    const failing = sides.find(({ socket }, index) => socket.sendErrors > (errorsBefore[index] as number))
    if (failing !== undefined) return `sending failed: ${failing.socket.lastSendError}`
    if (tally.asked === 0 && tally.refused.size > 0) {
      return `the address policy refused every bootstrap node (${[...tally.refused].join(', ')})`
    }
    return 'nobody answered'
  }
}
