import { type Duplex, duplexPair } from 'node:stream'
import {
  countingMeter,
  createAddressPolicy,
  type Gate,
  type InfoHash,
  Ledger,
  profiles,
  sha1InfoHash,
  silentLogger,
  type TcpStream,
  type Visit,
} from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { createHarvester, type SessionEvent, type VisitOptions } from '../../src/index.ts'
import { type ManualClock, manualClock, settle } from './manual-clock.ts'
import { ScriptedPeer } from './peer.ts'

export const INFO: Uint8Array = Buffer.from(
  `d6:lengthi1000000e4:name4:test12:piece lengthi32768e6:pieces40:${'x'.repeat(40)}e`,
)
export const SWARM: InfoHash = sha1InfoHash(INFO)
export const OUR_ID: Uint8Array = Buffer.from('-SA0100-123456789012')
export const PEER = { address: '10.0.0.1', port: 6881 }

export interface Stage {
  readonly peer: ScriptedPeer
  readonly clock: ManualClock
  readonly counts: ReadonlyMap<string, number>
  readonly events: SessionEvent[]
  /** Set when the visit is over. */
  readonly visit: Visit | undefined
  readonly error: unknown
  /** Our end of the connection. */
  readonly ours: Duplex
  of<T extends SessionEvent['type']>(type: T): Extract<SessionEvent, { type: T }>[]
}

/** Starts a visit over an in-memory connection, on a clock that the test moves: one attempt, on one transport. */
export async function startVisit(
  overrides: Partial<VisitOptions> = {},
  encryptions: readonly Visit['encryption'][] = ['plain'],
): Promise<Stage> {
  const clock = manualClock()
  const meter = countingMeter()
  const [ours, theirs] = duplexPair()
  let bytesRead = 0
  const push = ours.push.bind(ours)
  ours.push = (chunk: Buffer | null) => {
    bytesRead += chunk?.length ?? 0
    return push(chunk)
  }
  const stream = Object.defineProperty(ours, 'bytesRead', { get: () => bytesRead }) as TcpStream
  const gate: Gate = {
    policy: createAddressPolicy({ clock }, { profile: profiles.lab, allowPrivate: true }),
    ledger: new Ledger(),
    resolver: nodeHost().resolver,
    families: [4, 6],
    sourcePorts: new Set(),
    udp: () => Promise.reject(new Error('no UDP here')),
    listen: () => Promise.reject(new Error('nobody listens here')),
    dial: () => Promise.resolve({ ok: true, stream }),
  }
  const harvester = createHarvester(
    { gate, clock, random: nodeHost().random, logger: silentLogger, meter },
    { peerId: OUR_ID, clientName: 'Swarmatlas 0.1.0', encryptions },
  )
  const events: SessionEvent[] = []
  const stage = {
    peer: new ScriptedPeer(theirs),
    clock,
    counts: meter.counts,
    events,
    visit: undefined as Visit | undefined,
    error: undefined as unknown,
    ours,
    of: <T extends SessionEvent['type']>(type: T) =>
      events.filter((event): event is Extract<SessionEvent, { type: T }> => event.type === type),
  }
  const run = async () => {
    const stream = harvester.visit(PEER, {
      swarm: SWARM,
      signal: new AbortController().signal,
      claim: { channels: 2 },
      stayMs: 15_000,
      private: () => false,
      wantsMetadata: () => false,
      pieceCount: () => undefined,
      ...overrides,
    })
    for (;;) {
      const step = await stream.next()
      if (step.done) {
        stage.visit = step.value
        return
      }
      events.push(step.value)
    }
  }
  run().catch((error: unknown) => {
    stage.error = error
  })
  await settle()
  return stage
}
