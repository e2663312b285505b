/** Joining the DHT: the bootstrap nodes and those of an earlier session are asked for the neighbours of our own id. */
import {
  type Clock,
  deadline,
  type Endpoint,
  familyOf,
  type HostPort,
  limits,
  type Purpose,
  type Resolver,
} from '@swarmatlas/core'
import { type KrpcAnswer, QueryFailure } from './krpc-interface.ts'

export interface BootstrapReport {
  /** Nodes in the routing table, known to answer. */
  readonly nodes: number
  /** Addresses of bootstrap hosts that a query went to, and those that had answered when the first node was in the table. */
  readonly routersAsked: number
  readonly routersAnswered: number
  readonly afterMs: number
  /** Why there is no node, in words. */
  readonly problem?: string
}

export interface BootstrapComponents {
  clock: Clock
  resolver: Resolver
  /** Asks one node for the neighbours of our id. */
  ask(to: Endpoint, purpose: Purpose): Promise<KrpcAnswer | QueryFailure>
  /** Nodes in the routing table. */
  nodeCount(): number
  /** The latest error of the socket, if there was one since the start. */
  sendError(): string | undefined
}

export interface BootstrapOptions {
  bootstrap: readonly HostPort[]
  savedNodes: readonly Endpoint[]
  /** Saved nodes asked at one time. */
  concurrency: number
  signal: AbortSignal
}

/** Resolves with the first node that answers, or when all have failed; what is under way then goes on. Rejects on abort only. */
export async function bootstrap(
  { clock, resolver, ask, nodeCount, sendError }: BootstrapComponents,
  { bootstrap, savedNodes, concurrency, signal }: BootstrapOptions,
): Promise<BootstrapReport> {
  signal.throwIfAborted()
  const startedMs = clock.monotonic()
  const tally = { resolved: 0, asked: 0, answered: 0, refused: new Set<string>() }

  return await new Promise<BootstrapReport>((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    const finish = () => {
      signal.removeEventListener('abort', abort)
      resolve({
        nodes: nodeCount(),
        routersAsked: tally.asked,
        routersAnswered: tally.answered,
        afterMs: clock.monotonic() - startedMs,
        ...(nodeCount() === 0 ? { problem: problem() } : {}),
      })
    }

    async function tryNode(to: Endpoint, purpose: Purpose): Promise<void> {
      const isRouter = purpose === 'bootstrap'
      if (isRouter) tally.asked++
      const answer = await ask(to, purpose)
      if (answer instanceof QueryFailure) {
        if (answer.refusal === undefined) return
        tally.refused.add(answer.refusal.reason)
        if (isRouter) tally.asked--
        return
      }
      if (isRouter) tally.answered++
      finish()
    }

    async function tryHost({ host, port }: HostPort): Promise<void> {
      using limit = deadline(clock, limits.dhtResolveTimeoutMs, signal)
      const found = await resolver.resolve(host, { signal: limit.signal }).catch(() => [])
      const addresses = found.filter((address) => familyOf(address) === 4).slice(0, limits.dhtAddressesPerRouter)
      tally.resolved += addresses.length
      await Promise.all(addresses.map((address) => tryNode({ address, port }, 'bootstrap')))
    }

    // The workers share one iterator: each takes the next node when it is done with the last.
    const saved = savedNodes.slice(0, limits.dhtSavedNodes).values()
    async function trySaved(): Promise<void> {
      for (const node of saved) {
        if (signal.aborted) return
        await tryNode(node, 'dht')
      }
    }

    const workers = Array.from({ length: concurrency }, trySaved)
    Promise.all([...bootstrap.map(tryHost), ...workers]).then(finish, reject)
  })

  function problem(): string {
    if (bootstrap.length + savedNodes.length === 0) return 'no bootstrap node was given'
    if (tally.resolved + savedNodes.length === 0) return 'no name resolved'
    const error = sendError()
    if (error !== undefined) return `sending failed: ${error}`
    if (tally.asked === 0 && tally.refused.size > 0) {
      return `the address policy refused every bootstrap node (${[...tally.refused].join(', ')})`
    }
    return 'nobody answered'
  }
}
