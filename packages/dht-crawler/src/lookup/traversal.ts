/**
 * An iterative Kademlia lookup (Maymounkov and Mazières 2002, section 2.3; BEP 5) with no socket in sight: it asks ever
 * nearer nodes, a few at a time, until the `k` nearest live ones have answered. Whom it asked stays known, so that they
 * can be asked again.
 */
import { type Clock, type Endpoint, type Family, limits, type Purpose, type Timer } from '@swarmatlas/core'
import type { Contact } from '../contact.ts'
import type { Answer, QueryOutcome, SentQuery, Unsent } from '../query-socket.ts'
import type { QueryWindow } from '../query-window.ts'
import { type Candidate, createCandidates, survey } from './candidates.ts'

export interface Inquiry {
  readonly to: Endpoint
  readonly expectedId: Buffer | undefined
  readonly purpose: Purpose
}

export interface TraversalComponents {
  clock: Clock
  window: QueryWindow
  /** Sends the query of this lookup now, or says why not. */
  ask(inquiry: Inquiry, heard: (outcome: QueryOutcome) => void): SentQuery | Unsent
  /** Nodes known to answer, near the target: asked for when those at hand may not be asked yet. */
  seeds(): readonly Contact[]
  /** Everything that is answered comes here, also what is late. */
  answered(answer: Answer, candidate: Candidate): void
  /** Nobody is left to ask or to wait for. May come again, after `addPacked` or `askAgain`. */
  idle(): void
}

export interface TraversalOptions {
  target: Uint8Array
  family: Family
  /** Queries in flight at most. */
  alpha: number
  /** Live nodes that are to answer. */
  k: number
  /** Nodes of one /24 (/48) among them. */
  perPrefix: number
}

export interface TraversalTally {
  queries: number
  /** Answers and error replies. */
  replies: number
  /** Queries that gave up their place; late replies count in both. */
  timeouts: number
  /** XOR distance (first 52 bits) of the nearest node that answered. */
  nearest: number
}

export interface Traversal {
  readonly tally: Readonly<TraversalTally>
  readonly isIdle: boolean
  /** Starts from contacts, and from nodes whose ids are not known, which are asked when there are too few others. */
  begin(contacts: readonly Contact[], unnamed: readonly Endpoint[]): void
  /** `nodes` of a reply that another traversal got. */
  addPacked(nodes: Buffer): void
  /** Asks nodes that have answered before once more. */
  askAgain(candidates: readonly Candidate[]): void
  /** Asks more nodes than at the start. */
  widen(k: number): void
  stop(): void
}

export function createTraversal(
  { clock, window, ask, seeds, answered, idle }: TraversalComponents,
  { target, family, alpha, k: initialK, perPrefix }: TraversalOptions,
): Traversal {
  const candidates = createCandidates({ target })
  const tally: TraversalTally = { queries: 0, replies: 0, timeouts: 0, nearest: Number.POSITIVE_INFINITY }
  const again = new Set<Candidate>()
  const open = new Set<SentQuery>()
  let k = initialK
  let inFlight = 0
  /** Queries asked again that may still be answered. */
  let hopes = 0
  let stopped = false
  let isIdle = true
  let timer: Timer | undefined

  function step(): void {
    if (stopped) return
    timer?.cancel()
    timer = undefined
    isIdle = false
    let view = look()
    if (view.next.length === 0 && view.notBeforeMs < Number.POSITIVE_INFINITY) {
      for (const contact of seeds()) candidates.add(contact)
      view = look()
    }
    const { next, hope, notBeforeMs } = view
    const spent = tally.queries >= limits.dhtQueriesPerPass
    if (next.length > 0 && !spent) {
      if (inFlight < alpha) window.want(send)
      return
    }
    if (notBeforeMs < Number.POSITIVE_INFINITY && !spent) {
      const waitMs = Math.min(notBeforeMs - clock.monotonic(), limits.dhtSeedAgainMs)
      timer = clock.timer(Math.max(waitMs, 0), step)
    } else if (!hope && hopes === 0) {
      isIdle = true
      idle()
    }
  }

  /** Those to be asked again come first: they have proved their worth. */
  function look() {
    const nowMs = clock.monotonic()
    const near = survey(candidates.list, { k, perPrefix, nowMs })
    let { notBeforeMs } = near
    const next: Candidate[] = []
    for (const candidate of again) {
      if (candidate.notBeforeMs <= nowMs) next.push(candidate)
      else notBeforeMs = Math.min(notBeforeMs, candidate.notBeforeMs)
    }
    return { next: next.length > 0 ? next : near.next, hope: near.hope, notBeforeMs }
  }

  /** The window has a place: takes it for the best candidate that can be asked now. */
  function send(): boolean {
    if (stopped || inFlight >= alpha) return false
    while (tally.queries < limits.dhtQueriesPerPass) {
      const { next } = look()
      const candidate = next[0]
      if (candidate === undefined) break
      if (!tryAsk(candidate)) continue
      step()
      return true
    }
    // Not from within the window's turn.
    queueMicrotask(step)
    return false
  }

  function tryAsk(candidate: Candidate): boolean {
    const { endpoint: to, id: expectedId, purpose } = candidate
    const repeated = again.has(candidate)
    let holdsPlace = true
    let hoped = repeated
    const leavePlace = () => {
      if (!holdsPlace) return
      holdsPlace = false
      inFlight--
      window.release()
    }
    const result = ask({ to, expectedId, purpose }, (outcome) => {
      if (stopped) return
      if (outcome.kind === 'answer' && outcome.otherPort) {
        take(candidate, outcome)
        step()
        return
      }
      if (outcome.kind !== 'silent') {
        open.delete(query)
        if (hoped) hopes--
        hoped = false
      }
      heard(candidate, outcome, repeated)
      leavePlace()
      step()
    })
    if (result.kind === 'unsent') {
      putOff(candidate, result)
      return false
    }
    const query: SentQuery = {
      kind: 'sent',
      abandon() {
        result.abandon()
        leavePlace()
      },
    }
    open.add(query)
    again.delete(candidate)
    tally.queries++
    inFlight++
    if (repeated) hopes++
    else candidate.state = 'asked'
    return true
  }

  /** A node that all lookups want is left to the others. */
  function putOff(candidate: Candidate, { waitMs, reason }: Unsent): void {
    const nowMs = clock.monotonic()
    candidate.putOffMs ??= nowMs
    const patienceMs = reason === 'busy' ? limits.dhtBusyNodeMs : limits.dhtHeldQueryMs
    if (waitMs !== undefined && nowMs + waitMs - candidate.putOffMs <= patienceMs) {
      candidate.notBeforeMs = nowMs + waitMs
    } else if (!again.delete(candidate)) {
      candidate.state = 'dead'
    }
  }

  function heard(candidate: Candidate, outcome: QueryOutcome, repeated: boolean): void {
    candidate.putOffMs = undefined
    const { state } = candidate
    switch (outcome.kind) {
      case 'silent':
        tally.timeouts++
        if (!repeated && state === 'asked') candidate.state = 'silent'
        break
      case 'lost':
      case 'cancelled':
        if (!repeated && state !== 'answered') candidate.state = 'dead'
        break
      case 'error':
        tally.replies++
        if (!repeated) candidate.state = 'dead'
        break
      case 'answer':
        tally.replies++
        take(candidate, outcome)
    }
  }

  function take(candidate: Candidate, answer: Answer): void {
    const { response, otherPort, otherId } = answer
    if (otherId) {
      if (candidate.state !== 'answered') candidate.state = 'dead'
    } else if (!otherPort) {
      candidate.state = 'answered'
      if (candidate.id === undefined) candidates.named(candidate, response.id)
      tally.nearest = Math.min(tally.nearest, candidate.away)
    }
    // Who lies about its id may lie about its neighbours.
    if (!otherId) candidates.addPacked(family === 4 ? response.nodes : response.nodes6, family)
    answered(answer, candidate)
  }

  return {
    tally,
    get isIdle() {
      return isIdle
    },
    begin(contacts, unnamed) {
      for (const contact of contacts) candidates.add(contact)
      for (const endpoint of unnamed) candidates.addUnnamed(endpoint, 'bootstrap')
      step()
    },
    addPacked(nodes) {
      if (nodes.length === 0) return
      candidates.addPacked(nodes, family)
      step()
    },
    askAgain(chosen) {
      for (const candidate of chosen) again.add(candidate)
      step()
    },
    widen(wider) {
      if (wider <= k) return
      k = wider
      step()
    },
    stop() {
      if (stopped) return
      stopped = true
      isIdle = true
      timer?.cancel()
      for (const query of open) query.abandon()
      open.clear()
    },
  }
}
