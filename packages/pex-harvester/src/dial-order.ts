/**
 * In which order a peer is tried over TCP and uTP, plain and with MSE, and what a failure says of the ways that are left.
 * TCP goes first: the kernel does it for less. One attempt is made at a time, the next after its close: a client that
 * takes one connection an address would refuse the second as a double of the first.
 */
import type { Visit } from '@swarmatlas/core'
import type { DialHints } from './contract.ts'
import type { SessionResult } from './session.ts'

export type Way = Pick<Visit, 'transport' | 'encryption'>

/** What can be spoken. */
export interface Ways {
  readonly transports: readonly Way['transport'][]
  readonly encryptions: readonly Way['encryption'][]
}

export function dialOrder({ transports, encryptions }: Ways, { prefersEncryption, worked }: DialHints): Way[] {
  const first: Way = {
    transport: 'tcp',
    encryption: 'plain',
    ...(prefersEncryption && { encryption: 'mse' }),
    ...worked,
  }
  const rank = (way: Way) => 2 * Number(way.transport !== first.transport) + Number(way.encryption !== first.encryption)
  return transports
    .flatMap((transport) => encryptions.map((encryption) => ({ transport, encryption })))
    .sort((a, b) => rank(a) - rank(b))
}

/** One attempt that came to nothing, or to a session. */
export type Attempt = Way & Pick<SessionResult, 'outcome' | 'opened' | 'handshaken' | 'rejection'>

/** The ways of `rest` that are still worth a try: none unless the peer may only have been spoken to in the wrong way. */
export function waysAfter(attempt: Attempt, rest: readonly Way[], { utp = false }: DialHints): readonly Way[] {
  const { outcome, transport } = attempt
  if (attempt.opened) {
    const unheard =
      attempt.rejection === 'closed' ||
      (!attempt.handshaken && outcome === 'timeout') ||
      // Whoever does not know MSE may answer it with anything.
      (!attempt.handshaken && outcome === 'bad-message' && attempt.encryption === 'mse')
    return unheard ? rest : []
  }
  // A SYN that nobody answers is nobody's, unless somebody said that uTP is spoken there.
  const elsewhere =
    transport === 'utp' ? outcome !== 'over-budget' : outcome === 'refused' || (utp && OPEN_NOWHERE.has(outcome))
  return elsewhere ? rest.filter((way) => way.transport !== transport) : []
}

const OPEN_NOWHERE: ReadonlySet<Visit['outcome']> = new Set(['timeout', 'unreachable', 'reset'])

/**
 * It answered for another swarm; or it closed after our handshake in every way that we can speak. Encryption must be
 * among them: a peer that demands it closes on plain text.
 */
export function isRefuted(attempts: readonly Attempt[], { transports, encryptions }: Ways): boolean {
  if (attempts.some(({ rejection }) => rejection === 'foreign-swarm')) return true
  const closed = attempts.filter(({ rejection }) => rejection === 'closed').length
  return encryptions.length === 2 && closed === transports.length * encryptions.length
}
