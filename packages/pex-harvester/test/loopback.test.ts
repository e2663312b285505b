import {
  countingMeter,
  createAddressPolicy,
  createGate,
  type Endpoint,
  type Gate,
  profiles,
  silentLogger,
  type TcpStream,
  type Visit,
} from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { afterEach, expect, test } from 'vitest'
import { createHarvester, type SessionEvent } from '../src/index.ts'
import { extension, frame, handshake, PEER_METADATA, ScriptedPeer } from './support/peer.ts'
import { INFO, OUR_ID, SWARM } from './support/visit.ts'

const host = nodeHost()
const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

async function listen(onPeer: (peer: ScriptedPeer, stream: TcpStream) => void): Promise<Endpoint> {
  const listener = await host.tcp.listen({
    address: '127.0.0.1',
    port: 0,
    onConnection: (stream) => onPeer(new ScriptedPeer(stream), stream),
  })
  closers.push(() => listener.close())
  return listener.local
}

function realGate({ allowPrivate = true } = {}): Gate {
  const policy = createAddressPolicy(host, { profile: profiles.lab, allowPrivate })
  return createGate({ host, policy, meter: countingMeter() })
}

async function visit(peer: Endpoint, gate: Gate): Promise<{ events: SessionEvent[]; visit: Visit }> {
  const harvester = createHarvester(
    { ...host, gate, logger: silentLogger, meter: countingMeter() },
    { peerId: OUR_ID, clientName: 'Swarmatlas 0.1.0' },
  )
  let metadata: Uint8Array | undefined
  const stream = harvester.visit(peer, {
    swarm: SWARM,
    signal: new AbortController().signal,
    claim: { channels: 1 },
    stayMs: 5_000,
    private: () => false,
    wantsMetadata: () => metadata === undefined,
    pieceCount: () => (metadata === undefined ? undefined : 20),
  })
  const events: SessionEvent[] = []
  for (;;) {
    const step = await stream.next()
    if (step.done) return { events, visit: step.value }
    if (step.value.type === 'metadata') metadata = step.value.bytes
    events.push(step.value)
  }
}

test('a whole visit over real sockets: the peer sees us hang up, and the bytes are in visit and ledger', async () => {
  let closed = (): void => {}
  const hungUp = new Promise<void>((resolve) => {
    closed = resolve
  })
  const peer = await listen((scripted, stream) => {
    stream.on('close', closed)
    const hello = { m: { ut_metadata: PEER_METADATA }, metadata_size: INFO.length }
    scripted.send(handshake(SWARM), extension(0, hello), frame(5, Uint8Array.of(0xff, 0xff, 0xf0)))
    scripted.sendMetadata(INFO, [0])
    stream.on('data', () => {
      if (scripted.requested.length > 0) scripted.sendMetadata(INFO, [0])
    })
  })
  const gate = realGate()
  const { events, visit: outcome } = await visit(peer, gate)
  await hungUp
  expect(events.map(({ type }) => type)).toEqual(['opened', 'handshaken', 'metadata'])
  expect(outcome).toMatchObject({ outcome: 'ok', role: 'seed', progress: 1, metadataSize: INFO.length })
  expect(outcome.bytesIn).toBeGreaterThan(68 + INFO.length)
  expect(outcome.bytesOut).toBeGreaterThan(68)
  expect(gate.ledger.totals().pex.bytesIn).toBeGreaterThan(outcome.bytesIn)
})

test('a reset is an outcome', async () => {
  const peer = await listen((_, stream) => {
    stream.once('data', () => (stream as TcpStream & { resetAndDestroy(): void }).resetAndDestroy())
  })
  const { visit: outcome } = await visit(peer, realGate())
  expect(outcome).toMatchObject({ outcome: 'reset', opened: true, refuted: true })
})

test('nobody listens: refused, nothing opened', async () => {
  const peer = await listen(() => {})
  for (const close of closers.splice(0)) await close()
  const { events, visit: outcome } = await visit(peer, realGate())
  expect(events).toEqual([])
  expect(outcome).toMatchObject({ outcome: 'refused', opened: false, handshaken: false, refuted: false })
})

test('an endpoint that the address policy refuses is never dialled', async () => {
  let dialled = 0
  const peer = await listen(() => dialled++)
  const { visit: outcome } = await visit(peer, realGate({ allowPrivate: false }))
  expect(outcome).toMatchObject({ outcome: 'forbidden', opened: false, detail: 'address' })
  expect(dialled).toBe(0)
})

test('a consumer that stops early hangs up', async () => {
  let closed = (): void => {}
  const hungUp = new Promise<void>((resolve) => {
    closed = resolve
  })
  const peer = await listen((_, stream) => stream.on('close', closed))
  const harvester = createHarvester(
    { ...host, gate: realGate(), logger: silentLogger, meter: countingMeter() },
    { peerId: OUR_ID, clientName: 'Swarmatlas 0.1.0' },
  )
  const stream = harvester.visit(peer, {
    swarm: SWARM,
    signal: new AbortController().signal,
    claim: { channels: 1 },
    stayMs: 5_000,
    private: () => false,
    wantsMetadata: () => false,
    pieceCount: () => undefined,
  })
  for await (const event of stream) {
    expect(event.type).toBe('opened')
    break
  }
  await hungUp
})

test('a peer id of another length is a mistake of ours', () => {
  const components = { ...host, gate: realGate(), logger: silentLogger, meter: countingMeter() }
  expect(() => createHarvester(components, { peerId: new Uint8Array(19), clientName: 'x' })).toThrow('20 bytes')
})
