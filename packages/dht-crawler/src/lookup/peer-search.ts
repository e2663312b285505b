/**
 * The search for the peers of one hash: a traversal per family, and for a thorough search rounds in which the holders
 * are asked again, because a reply holds a random part (about 100) of what its node knows.
 */
import { type Clock, type Family, type InfoHash, infoHashBytes, type LookupSummary, limits } from '@swarmatlas/core'
import type { KnownNodes } from '../known-nodes.ts'
import type { KrpcQuery } from '../krpc-encode.ts'
import type { Answer, QuerySocket } from '../query-socket.ts'
import type { QueryWindow } from '../query-window.ts'
import type { RoutingTable } from '../routing-table.ts'
import type { Candidate } from './candidates.ts'
import { commonBits } from './distance.ts'
import type { ObservationLog } from './observation-log.ts'
import { createTraversal, type Traversal } from './traversal.ts'

/** A family's part of the DHT: the socket, and what is known to start from. */
export interface DhtSide {
  readonly family: Family
  readonly socket: QuerySocket
  readonly known: KnownNodes
  readonly table: RoutingTable
  /** Bootstrap nodes that answered: the last resort, and nobody's neighbours. */
  readonly routers: Map<string, { address: string; port: number }>
}

export interface Depth {
  /** Nearest live nodes that are asked. */
  readonly nodes: number
  /** Times that their holders are asked again. */
  readonly rounds: number
}

export interface DhtLookupSummary extends LookupSummary {
  /** Queries that gave up their place unanswered; some of them were answered late. */
  readonly timeouts: number
  /** Bits that the nearest node that answered has in common with the hash; the DHT's size is about 2 to the power of it. */
  readonly distanceBits: number
  /** Rounds in which the holders were asked again. */
  readonly rounds: number
}

export interface PeerSearch {
  readonly summary: DhtLookupSummary
  start(): void
  /** Does more than was asked for at first. */
  deepen(depth: Depth): void
  stop(): void
}

export function createPeerSearch(
  {
    clock,
    window,
    log,
    sides,
    ended,
  }: {
    clock: Clock
    window: QueryWindow
    log: ObservationLog
    sides: readonly DhtSide[]
    ended(): void
  },
  { swarm, depth: initial, alpha, perPrefix }: { swarm: InfoHash; depth: Depth; alpha: number; perPrefix: number },
): PeerSearch {
  const target = Buffer.from(infoHashBytes(swarm))
  const want = sides.length > 1 ? 'both' : undefined
  const query: KrpcQuery = { method: 'get_peers', target, want }
  const startedMs = clock.monotonic()
  /** Who named peers, and whether its latest answer leaves something to ask for. */
  const holders = new Map<Candidate, { traversal: Traversal; spent: boolean }>()
  const round = { named: 0, fresh: 0 }
  let depth = initial
  let rounds = 0
  let begun = false
  let endedMs: number | undefined

  const traversals = sides.map((side): Traversal => {
    const { family, socket, known } = side
    const traversal = createTraversal(
      {
        clock,
        window,
        ask: (inquiry, heard) => socket.ask({ ...inquiry, query }, heard),
        seeds: () => known.nearest(target, limits.dhtSeeds),
        answered: (answer, candidate) => answered(answer, candidate, traversal),
        idle,
      },
      { target, family, alpha, k: initial.nodes, perPrefix },
    )
    return traversal
  })

  function answered(answer: Answer, candidate: Candidate, traversal: Traversal): void {
    const { response, otherPort, otherId } = answer
    // What a node knows of the other family helps that family's traversal.
    if (!otherId) {
      for (const [index, { family }] of sides.entries()) {
        const other = traversals[index] as Traversal
        if (other !== traversal) other.addPacked(family === 4 ? response.nodes : response.nodes6)
      }
    }
    const { named, fresh } = log.replied(answer)
    round.named += named
    round.fresh += fresh
    if (named === 0 || otherPort || otherId) return
    const spent = fresh === 0 || named < limits.dhtFullReplyValues
    holders.set(candidate, { traversal, spent })
  }

  /** Everybody is asked: one more round while the last one was worth its queries. */
  function idle(): void {
    if (!begun || endedMs !== undefined || traversals.some((traversal) => !traversal.isIdle)) return
    const worthIt = rounds === 0 || round.fresh > round.named * limits.dhtYieldKnee
    const again = [...holders].filter(([, { spent }]) => !spent)
    if (rounds >= depth.rounds || !worthIt || again.length === 0) {
      end()
      return
    }
    rounds++
    round.named = 0
    round.fresh = 0
    for (const traversal of traversals) {
      const chosen = again.filter(([, holder]) => holder.traversal === traversal).map(([candidate]) => candidate)
      if (chosen.length > 0) traversal.askAgain(chosen)
    }
  }

  function end(): void {
    if (endedMs !== undefined) return
    endedMs = clock.monotonic()
    for (const traversal of traversals) traversal.stop()
    log.end()
    ended()
  }

  return {
    get summary() {
      const sum = (of: (traversal: Traversal) => number) => traversals.reduce((total, each) => total + of(each), 0)
      const nearest = Math.min(...traversals.map(({ tally }) => tally.nearest))
      return {
        queries: sum(({ tally }) => tally.queries),
        replies: sum(({ tally }) => tally.replies),
        timeouts: sum(({ tally }) => tally.timeouts),
        holders: log.holders,
        peers: log.peers,
        distanceBits: nearest === Number.POSITIVE_INFINITY ? 0 : commonBits(nearest),
        rounds,
        durationMs: (endedMs ?? clock.monotonic()) - startedMs,
      }
    },
    start() {
      for (const [index, { known, table, routers }] of sides.entries()) {
        const traversal = traversals[index] as Traversal
        traversal.begin(
          [...known.nearest(target, limits.dhtSeeds), ...table.nearest(target, limits.dhtSeeds)],
          [...routers.values()],
        )
      }
      begun = true
      idle()
    },
    deepen(wanted) {
      depth = { nodes: Math.max(depth.nodes, wanted.nodes), rounds: Math.max(depth.rounds, wanted.rounds) }
      for (const traversal of traversals) traversal.widen(depth.nodes)
    },
    stop: end,
  }
}
