/**
 * The harvester pays visits: it connects to a peer, learns who it is and whom it knows, takes the metadata when it is
 * wanted, and leaves. It never asks for, and never serves, a piece; it sends no PEX of its own.
 */
import {
  type Clock,
  type Endpoint,
  type Gate,
  type Logger,
  limits,
  type Meter,
  type Random,
  SwarmatlasError,
  type Visit,
} from '@swarmatlas/core'
import type { HarvesterOptions, SessionEvent, VisitOptions } from './contract.ts'
import { dialOrder, isRefuted, type Way, type Ways, waysAfter } from './dial-order.ts'
import { startMse } from './mse/stream.ts'
import { createSession, type SessionResult } from './session.ts'
import type { Utp } from './utp/utp.ts'

export interface HarvesterComponents {
  gate: Gate
  /** Without it there is no uTP. */
  utp?: Pick<Utp, 'connect'> | undefined
  clock: Clock
  random: Random
  logger: Logger
  meter: Meter
}

export interface Harvester {
  /**
   * Tries the peer in all ways that may be the right one; the visit tells of the one that worked, else of the first that
   * opened, else of the first. Visit an endpoint for one swarm once at a time. Throws the signal's reason when aborted
   * before the peer's handshake, and nothing else; an abort after it ends the visit with what is known. Returning early
   * from the stream hangs up.
   */
  visit(peer: Endpoint, options: VisitOptions): AsyncGenerator<SessionEvent, Visit>
}

export function createHarvester(components: HarvesterComponents, options: HarvesterOptions): Harvester {
  const { clock } = components
  const { peerId, transports = ['tcp', 'utp'], encryptions = ['plain', 'mse'] } = options
  if (peerId.length !== 20) {
    throw new SwarmatlasError('BAD_OPTION', `a peer id has 20 bytes, not ${peerId.length}`)
  }
  const ways: Ways = {
    transports: transports.filter((transport) => transport === 'tcp' || components.utp !== undefined),
    encryptions,
  }
  if (ways.transports.length === 0 || encryptions.length === 0) {
    throw new SwarmatlasError('BAD_OPTION', 'no transport that can be spoken')
  }
  return {
    async *visit(peer, visitOptions) {
      const { hints = {}, signal } = visitOptions
      signal.throwIfAborted()
      const atMs = clock.now()
      const startedMs = clock.monotonic()
      const untilMs = startedMs + limits.visitAttemptsMs
      const attempts: SessionResult[] = []
      let rest: readonly Way[] = dialOrder(ways, hints)
      for (let way = rest[0]; way !== undefined && clock.monotonic() < untilMs; way = rest[0]) {
        const isFirst = attempts.every(({ opened }) => !opened)
        const attempt = yield* attemptOnce(components, options, { peer, way, untilMs, isFirst, visit: visitOptions })
        attempts.push(attempt)
        rest = waysAfter(attempt, rest.slice(1), hints)
      }
      return { atMs, durationMs: clock.monotonic() - startedMs, ...visitOf(attempts, ways) }
    },
  }
}

interface AttemptPlan {
  readonly peer: Endpoint
  readonly way: Way
  /** Monotonic: the end of all attempts unless the peer's handshake comes before. */
  readonly untilMs: number
  /** Nothing of this visit has opened yet. */
  readonly isFirst: boolean
  readonly visit: VisitOptions
}

async function* attemptOnce(
  components: HarvesterComponents,
  options: HarvesterOptions,
  { peer, way, untilMs, isFirst, visit }: AttemptPlan,
): AsyncGenerator<SessionEvent, SessionResult> {
  const { gate, utp, clock, random, meter } = components
  const { swarm, signal, claim } = visit
  meter.count(`session.attempts.${way.transport}-${way.encryption}`)
  const timeoutMs = Math.min(limits.dialTimeoutMs, untilMs - clock.monotonic())
  const dialOptions = { purpose: 'peer', timeoutMs, signal, claim } as const
  const dialled = await (way.transport === 'utp' && utp ? utp.connect(peer, dialOptions) : gate.dial(peer, dialOptions))
  if (!dialled.ok) {
    const { outcome, detail } = dialled
    meter.count(`session.dial.${outcome}`)
    return { ...way, ...NOTHING, swarm, peer, outcome, detail }
  }
  const carrier = dialled.stream
  try {
    const stream = way.encryption === 'mse' ? startMse({ random, stream: carrier }, { swarm }) : carrier
    const handshakeMs = Math.min(limits.handshakeTimeoutMs, untilMs - clock.monotonic())
    const connection = { ...way, stream }
    return yield* createSession(components, { ...options, peer, connection, handshakeMs, isFirst, visit }).run()
  } finally {
    // The next attempt comes after the close of this one: the peer would take it for a double.
    carrier.destroy()
    if (!carrier.closed) await new Promise((resolve) => carrier.once('close', resolve))
  }
}

const NOTHING = {
  opened: false,
  handshaken: false,
  pexAdded: 0,
  bytesIn: 0,
  bytesOut: 0,
  rejection: undefined,
} as const

/** What the attempts at a peer come to together; at least one was made. */
function visitOf(attempts: readonly SessionResult[], ways: Ways): Omit<Visit, 'atMs' | 'durationMs'> {
  const last = attempts.at(-1) as SessionResult
  const isTelling = last.handshaken || last.rejection === 'foreign-swarm'
  const told = isTelling ? last : (attempts.find(({ opened }) => opened) ?? (attempts[0] as SessionResult))
  const { rejection: _, ...visit } = told
  const sum = (count: (attempt: SessionResult) => number) => attempts.reduce((total, one) => total + count(one), 0)
  return {
    ...visit,
    refuted: isRefuted(attempts, ways),
    attempts: attempts.length,
    bytesIn: sum(({ bytesIn }) => bytesIn),
    bytesOut: sum(({ bytesOut }) => bytesOut),
    ...(attempts.length > 1 && !last.handshaken ? { detail: attempts.map(inWords).join('; ') } : {}),
  }
}

function inWords({ transport, encryption, outcome, detail = outcome }: SessionResult): string {
  return `${transport}${encryption === 'mse' ? '+mse' : ''}: ${detail}`
}
