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
import { createSession } from './session.ts'

export interface HarvesterComponents {
  gate: Gate
  clock: Clock
  random: Random
  logger: Logger
  meter: Meter
}

export interface Harvester {
  /**
   * Throws the signal's reason when aborted before the peer's handshake, and nothing else; an abort after it ends the
   * visit with what is known. Returning early from the stream hangs up.
   */
  visit(peer: Endpoint, options: VisitOptions): AsyncGenerator<SessionEvent, Visit>
}

export function createHarvester(components: HarvesterComponents, options: HarvesterOptions): Harvester {
  const { gate, clock, meter } = components
  if (options.peerId.length !== 20) {
    throw new SwarmatlasError('BAD_OPTION', `a peer id has 20 bytes, not ${options.peerId.length}`)
  }
  return {
    async *visit(peer, visitOptions) {
      const { swarm, signal, claim } = visitOptions
      signal.throwIfAborted()
      const atMs = clock.now()
      const startedMs = clock.monotonic()
      const dialled = await gate.dial(peer, { purpose: 'peer', timeoutMs: limits.dialTimeoutMs, signal, claim })
      if (!dialled.ok) {
        meter.count(`session.dial.${dialled.outcome}`)
        return {
          atMs,
          swarm,
          peer,
          outcome: dialled.outcome,
          detail: dialled.detail,
          opened: false,
          handshaken: false,
          refuted: false,
          transport: 'tcp',
          encryption: 'plain',
          pexAdded: 0,
          durationMs: clock.monotonic() - startedMs,
          bytesIn: 0,
          bytesOut: 0,
        }
      }
      const connection = { stream: dialled.stream, transport: 'tcp', encryption: 'plain' } as const
      const session = createSession(components, { ...options, peer, connection, visit: visitOptions })
      const ended = yield* session.run()
      return { ...ended, atMs, durationMs: clock.monotonic() - startedMs }
    },
  }
}
