import { duplexPair } from 'node:stream'
import {
  countingMeter,
  createAddressPolicy,
  type DialResult,
  type Gate,
  type InfoHash,
  Ledger,
  limits,
  type Outcome,
  profiles,
  silentLogger,
  type TcpStream,
  type Visit,
} from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { describe, expect, test } from 'vitest'
import type { DialHints, HarvesterOptions } from '../src/contract.ts'
import { createHarvester, type SessionEvent } from '../src/index.ts'
import { skeyDigest } from '../src/mse/handshake.ts'
import { acceptMse } from '../src/mse/stream.ts'
import { manualClock } from './support/manual-clock.ts'
import { handshake, ScriptedPeer } from './support/peer.ts'
import { OUR_ID, PEER, SWARM } from './support/visit.ts'

/** What a transport of the peer does. */
type Behaviour =
  | { opens: false; outcome: Outcome }
  /** Closes on what it does not take; answers for `swarm`. */
  | { opens: true; takes: readonly ('plain' | 'mse')[]; swarm?: InfoHash; silent?: boolean }

const REFUSED: Behaviour = { opens: false, outcome: 'refused' }
const NOBODY: Behaviour = { opens: false, outcome: 'timeout' }
const CLOSES: Behaviour = { opens: true, takes: [] }
const SILENT: Behaviour = { opens: true, takes: [], silent: true }
const PLAIN: Behaviour = { opens: true, takes: ['plain'] }
const ENCRYPTED: Behaviour = { opens: true, takes: ['mse'] }
const ANY: Behaviour = { opens: true, takes: ['plain', 'mse'] }
const FOREIGN: Behaviour = { opens: true, takes: ['plain', 'mse'], swarm: 'ee'.repeat(20) as InfoHash }

const { random, resolver } = nodeHost()

interface Story {
  readonly visit: Visit
  readonly events: readonly SessionEvent[]
  /** The transports dialled. */
  readonly dials: readonly string[]
  readonly counts: ReadonlyMap<string, number>
  readonly tookMs: number
}

async function visitPeer(
  peer: { tcp: Behaviour; utp?: Behaviour },
  hints?: DialHints,
  options: Partial<HarvesterOptions> = {},
): Promise<Story> {
  const clock = manualClock()
  const meter = countingMeter()
  const dials: string[] = []
  const streams: TcpStream[] = []
  const dial = async (transport: 'tcp' | 'utp', behaviour: Behaviour): Promise<DialResult> => {
    dials.push(transport)
    if (!behaviour.opens) return { ok: false, outcome: behaviour.outcome, detail: behaviour.outcome }
    expect(streams.every(({ closed }) => closed)).toBe(true)
    const [ours, theirs] = duplexPair() as unknown as [TcpStream, TcpStream]
    streams.push(ours)
    // In memory one end's close is not the other's.
    theirs.on('close', () => ours.destroy())
    play(theirs, behaviour)
    return { ok: true, stream: ours }
  }
  const gate: Gate = {
    policy: createAddressPolicy({ clock }, { profile: profiles.lab, allowPrivate: true }),
    ledger: new Ledger(),
    resolver,
    families: [4, 6],
    sourcePorts: new Set(),
    udp: () => Promise.reject(new Error('no UDP here')),
    listen: () => Promise.reject(new Error('nobody listens here')),
    dial: () => dial('tcp', peer.tcp),
  }
  const { utp } = peer
  const harvester = createHarvester(
    { gate, clock, random, logger: silentLogger, meter, ...(utp && { utp: { connect: () => dial('utp', utp) } }) },
    { peerId: OUR_ID, clientName: 'Swarmatlas 0.1.0', ...options },
  )
  const stream = harvester.visit(PEER, {
    swarm: SWARM,
    signal: new AbortController().signal,
    claim: { channels: 2 },
    stayMs: 15_000,
    private: () => false,
    wantsMetadata: () => false,
    pieceCount: () => undefined,
    ...(hints && { hints }),
  })
  const events: SessionEvent[] = []
  let visit: Visit | undefined
  const run = async () => {
    while (visit === undefined) {
      const step = await stream.next()
      if (step.done) visit = step.value
      else events.push(step.value)
    }
  }
  const running = run()
  for (let s = 0; s < 60 && visit === undefined; s++) await clock.advance(1_000)
  await running
  expect(clock.pending).toBe(0)
  expect(streams.every(({ closed }) => closed)).toBe(true)
  return { visit: visit as unknown as Visit, events, dials, counts: meter.counts, tookMs: clock.monotonic() }
}

function play(carrier: TcpStream, { takes, swarm = SWARM, silent = false }: Extract<Behaviour, { opens: true }>): void {
  if (silent) {
    carrier.on('error', () => {}).resume()
    return
  }
  const stream = acceptMse(
    { random, stream: carrier },
    { swarmOf: (digest) => (takes.includes('mse') && digest === skeyDigest(SWARM) ? SWARM : undefined) },
  )
  const peer = new ScriptedPeer(stream)
  stream.once('data', () => {
    if (!takes.includes(stream.encryption ?? 'plain')) stream.destroy()
    else peer.send(handshake(swarm), new Uint8Array([0, 0, 0, 1, 14]))
  })
  stream.on('error', () => {})
}

describe('one way works, whichever', () => {
  test.each<[string, { tcp: Behaviour; utp?: Behaviour }, string, string[]]>([
    ['plain TCP', { tcp: ANY, utp: ANY }, 'tcp plain', ['tcp']],
    ['MSE required', { tcp: ENCRYPTED, utp: ENCRYPTED }, 'tcp mse', ['tcp', 'tcp']],
    ['uTP only, TCP refused', { tcp: REFUSED, utp: PLAIN }, 'utp plain', ['tcp', 'utp']],
    ['uTP only, TCP closes', { tcp: CLOSES, utp: PLAIN }, 'utp plain', ['tcp', 'tcp', 'utp']],
    ['uTP and MSE only', { tcp: REFUSED, utp: ENCRYPTED }, 'utp mse', ['tcp', 'utp', 'utp']],
    ['plain TCP, no uTP of ours', { tcp: PLAIN }, 'tcp plain', ['tcp']],
    ['MSE over TCP, no uTP of ours', { tcp: ENCRYPTED }, 'tcp mse', ['tcp', 'tcp']],
    ['something silent in TCP’s way', { tcp: SILENT, utp: ENCRYPTED }, 'utp mse', ['tcp', 'tcp', 'utp', 'utp']],
  ])('%s', async (_, peer, way, dialled) => {
    const { visit, dials, events } = await visitPeer(peer)
    expect(`${visit.transport} ${visit.encryption}`).toBe(way)
    expect(visit).toMatchObject({ outcome: 'ok', opened: true, handshaken: true, refuted: false, role: 'seed' })
    expect(visit.attempts).toBe(dialled.length)
    expect(dials).toEqual(dialled)
    expect(events.map(({ type }) => type)).toEqual(['opened', 'handshaken'])
    expect(visit.detail).toBeUndefined()
  })
})

describe('order', () => {
  test.each<[string, { tcp: Behaviour; utp: Behaviour }, DialHints, string, string[]]>([
    ['said to prefer encryption', { tcp: ANY, utp: ANY }, { prefersEncryption: true }, 'tcp mse', ['tcp']],
    ['said so falsely', { tcp: PLAIN, utp: PLAIN }, { prefersEncryption: true }, 'tcp plain', ['tcp', 'tcp']],
    [
      'worked before over uTP with MSE',
      { tcp: ANY, utp: ANY },
      { worked: { transport: 'utp', encryption: 'mse' } },
      'utp mse',
      ['utp'],
    ],
    [
      'worked before over uTP, which is gone: no answer there says nothing of TCP',
      { tcp: ANY, utp: NOBODY },
      { worked: { transport: 'utp', encryption: 'plain' } },
      'tcp plain',
      ['utp', 'tcp'],
    ],
    [
      'no SYN is answered, but uTP is said to be spoken',
      { tcp: NOBODY, utp: ANY },
      { utp: true },
      'utp plain',
      ['tcp', 'utp'],
    ],
  ])('%s', async (_, peer, hints, way, dialled) => {
    const { visit, dials } = await visitPeer(peer, hints)
    expect(`${visit.transport} ${visit.encryption}`).toBe(way)
    expect(visit.handshaken).toBe(true)
    expect(dials).toEqual(dialled)
  })

  test('only what is allowed is spoken', async () => {
    const tcpOnly = await visitPeer({ tcp: REFUSED, utp: ANY }, { utp: true }, { transports: ['tcp'] })
    expect(tcpOnly.dials).toEqual(['tcp'])
    const plainOnly = await visitPeer({ tcp: CLOSES, utp: CLOSES }, {}, { encryptions: ['plain'] })
    expect(plainOnly.counts.get('session.attempts.tcp-mse')).toBeUndefined()
    expect(plainOnly.counts.get('session.attempts.utp-plain')).toBe(1)
    await expect(visitPeer({ tcp: ANY }, {}, { transports: ['utp'] })).rejects.toThrow('no transport')
  })
})

describe('nothing works', () => {
  test('closed on every way: refuted, and the detail tells of all', async () => {
    const { visit, dials } = await visitPeer({ tcp: CLOSES, utp: CLOSES })
    expect(visit).toMatchObject({ outcome: 'reset', opened: true, handshaken: false, refuted: true, attempts: 4 })
    expect(visit).toMatchObject({ transport: 'tcp', encryption: 'plain' })
    expect(visit.detail).toMatch(/^tcp: .*; tcp\+mse: .*; utp: .*; utp\+mse: /)
    expect(dials).toEqual(['tcp', 'tcp', 'utp', 'utp'])
  })

  test('closed over TCP while uTP gives no answer: it may be a peer of uTP alone, so it is not refuted', async () => {
    const { visit } = await visitPeer({ tcp: CLOSES, utp: NOBODY })
    expect(visit).toMatchObject({ outcome: 'reset', opened: true, refuted: false, attempts: 3 })
  })

  test('closed on plain text by one who speaks only that: never refuted, it may demand encryption', async () => {
    const { visit } = await visitPeer({ tcp: ENCRYPTED, utp: ENCRYPTED }, {}, { encryptions: ['plain'] })
    expect(visit).toMatchObject({ outcome: 'reset', opened: true, refuted: false })
  })

  test('another swarm: refuted at once', async () => {
    const { visit, dials } = await visitPeer({ tcp: FOREIGN, utp: ANY })
    expect(visit).toMatchObject({ outcome: 'bad-message', refuted: true, attempts: 1 })
    expect(dials).toEqual(['tcp'])
  })

  test('refused goes to uTP once', async () => {
    const { visit, dials, events } = await visitPeer({ tcp: REFUSED, utp: NOBODY })
    expect(visit).toMatchObject({ outcome: 'refused', opened: false, refuted: false, transport: 'tcp', attempts: 2 })
    expect(dials).toEqual(['tcp', 'utp'])
    expect(events).toEqual([])
  })

  test.each<Outcome>(['timeout', 'unreachable', 'forbidden', 'over-budget'])('%s ends it', async (outcome) => {
    const { visit, dials } = await visitPeer({ tcp: { opens: false, outcome }, utp: ANY })
    expect(visit).toMatchObject({ outcome, detail: outcome, opened: false, attempts: 1 })
    expect(dials).toEqual(['tcp'])
  })

  test('a peer that is silent on every way is left at the deadline of all attempts', async () => {
    const { visit, dials, tookMs } = await visitPeer({ tcp: SILENT, utp: SILENT })
    expect(visit).toMatchObject({ outcome: 'timeout', opened: true, handshaken: false, refuted: false })
    expect(visit.durationMs).toBeLessThanOrEqual(limits.visitAttemptsMs)
    expect(tookMs).toBeLessThanOrEqual(limits.visitAttemptsMs + 1_000)
    expect(dials.length).toBe(3)
  })
})
