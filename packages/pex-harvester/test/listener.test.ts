import { once } from 'node:events'
import {
  countingMeter,
  createAddressPolicy,
  createGate,
  type Endpoint,
  limits,
  profiles,
  silentLogger,
  sleep,
} from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { leakCheck } from '@swarmatlas/testkit'
import { describe, expect, test } from 'vitest'
import { createHarvester, createUtp } from '../src/index.ts'
import { startMse } from '../src/mse/stream.ts'
import { GOSSIP, HELLO, inMemory, introduce, listenOn, never, pause, THEM, US } from './support/listening.ts'
import { extension, handshake, PEER_METADATA, ScriptedPeer } from './support/peer.ts'
import { INFO, OUR_ID, SWARM } from './support/visit.ts'

describe('a peer that dials in', () => {
  const expected = {
    peer: { address: THEM, port: 51_413 },
    outcome: 'ok',
    opened: true,
    handshaken: true,
    refuted: false,
    client: 'Dialler 1.0',
    role: 'seed',
    listenPort: 51_413,
    pexAdded: 1,
  }

  test.each(['plain', 'mse'] as const)('over TCP, %s, is visited as one that we dialled', (encryption) =>
    inMemory({}, async ({ us, dial, them }) => {
      const carrier = await dial()
      const stream =
        encryption === 'mse' ? startMse({ random: them.random, stream: carrier }, { swarm: SWARM }) : carrier
      const peer = introduce(stream)
      await pause(200)
      peer.send(extension(2, GOSSIP))
      await pause(5_000)
      expect(us.visits).toEqual([expect.objectContaining({ ...expected, transport: 'tcp', encryption })])
      const told = us.events.flatMap((event) => (event.type === 'observation' ? [event.observation] : []))
      expect(told).toMatchObject([
        { channel: 'inbound', teller: { kind: 'self' }, peer: expected.peer, flags: [] },
        {
          channel: 'pex',
          teller: { kind: 'peer', endpoint: expected.peer },
          peer: { address: '9.9.9.9', port: 6_881 },
        },
      ])
    }),
  )

  test('over uTP likewise', () =>
    inMemory({ utp: true }, async ({ us, them }) => {
      const meter = countingMeter()
      const policy = createAddressPolicy(them, { profile: profiles.lab, allowPrivate: true })
      await using utp = createUtp({ ...them, gate: createGate({ host: them, policy, meter }), meter })
      const to = { address: US, port: us.listener.port }
      const dialled = await utp.connect(to, { purpose: 'peer', timeoutMs: 5_000, signal: never })
      if (!dialled.ok) throw new Error(dialled.detail)
      const peer = introduce(dialled.stream)
      await pause(200)
      peer.send(extension(2, GOSSIP))
      await pause(5_000)
      expect(us.visits).toEqual([expect.objectContaining({ ...expected, transport: 'utp', encryption: 'plain' })])
    }))

  test('hears a handshake, where we listen, have-none and nothing else', () =>
    inMemory({}, async ({ us, dial }) => {
      const peer = introduce(await dial())
      await pause(20_000)
      expect(us.visits).toHaveLength(1)
      expect(peer.receivedHandshake.subarray(28, 48).toString('hex')).toBe(SWARM)
      expect(peer.received.map(({ id }) => id)).toEqual([15, 20])
      expect(peer.receivedExtension?.get('p')).toBe(7_001)
      expect(peer.receivedExtension?.has('metadata_size')).toBe(false)
    }))

  test('without a listening port it is no endpoint, nor is what it gossips', () =>
    inMemory({}, async ({ us, dial }) => {
      const { p: _, ...hello } = HELLO
      const peer = introduce(await dial(), hello)
      await pause(200)
      peer.send(extension(2, GOSSIP))
      await pause(20_000)
      expect(us.visits).toEqual([undefined])
      expect(us.events.map(({ type }) => type)).toEqual(['opened', 'handshaken'])
      expect(us.counts.get('inbound.without-port')).toBe(1)
    }))

  test('is given verified metadata when it asks, a few pieces and then refusals', () => {
    const info = Buffer.alloc(limits.metadataPiecesServed * 16_384 + 16_385, 'x')
    return inMemory({ session: { metadata: () => info } }, async ({ dial }) => {
      const { m, ...hello } = HELLO
      const peer = new ScriptedPeer(await dial())
      peer.send(handshake(SWARM), extension(0, { ...hello, m: { ut_metadata: PEER_METADATA } }))
      await pause(200)
      expect(peer.receivedExtension?.get('metadata_size')).toBe(info.length)
      for (let piece = 0; piece < 100; piece++) peer.send(extension(1, { msg_type: 0, piece }))
      await pause(1_000)
      const answers = peer.received.filter(({ id, payload }) => id === 20 && payload[0] === PEER_METADATA)
      expect(answers).toHaveLength(2 * limits.metadataPiecesServed)
      const heads = answers.map(({ payload }) => Buffer.from(payload.subarray(1, 40)).toString('latin1'))
      expect(heads.filter((head) => head.startsWith('d8:msg_typei1e'))).toHaveLength(limits.metadataPiecesServed)
      expect(heads.filter((head) => head.startsWith('d8:msg_typei2e'))).toHaveLength(limits.metadataPiecesServed)
      expect(answers[0]?.payload.length).toBeGreaterThan(16_384)
    })
  })

  test('gives metadata, too', () =>
    inMemory({ session: { wantsMetadata: () => true } }, async ({ us, dial }) => {
      const peer = introduce(await dial(), { ...HELLO, metadata_size: INFO.length })
      await pause(200)
      expect(peer.requested).toEqual([0])
      peer.sendMetadata(INFO, [0])
      await pause(20_000)
      expect(us.events).toContainEqual({ type: 'metadata', bytes: Uint8Array.from(INFO) })
    }))
})

describe('nothing is said to', () => {
  const foreign = Buffer.from(handshake(SWARM))
  foreign[30] = (foreign[30] as number) ^ 1
  // [who, what it sends, what is counted]
  const table: [string, Uint8Array, string][] = [
    ['who asks for another swarm', foreign, 'inbound.foreign-swarm'],
    ['who hangs up in the handshake', handshake(SWARM).subarray(0, 47), 'inbound.no-handshake'],
  ]
  test.each(table)('%s', (_who, bytes, count) =>
    inMemory({}, async ({ us, dial }) => {
      const peer = new ScriptedPeer(await dial())
      peer.send(bytes)
      peer.stream.end()
      await pause(10_000)
      expect(peer.receivedHandshake).toHaveLength(0)
      expect(us.counts.get(count)).toBe(1)
      expect(us.visits).toEqual([])
    }),
  )

  test('who is silent, or sends a byte a second: hung up on at the deadline', () =>
    inMemory({}, async ({ us, dial, them }) => {
      const silent = await dial()
      const slow = await dial()
      let sent = 0
      const drip = async () => {
        for (const byte of handshake(SWARM)) {
          if (slow.destroyed) return
          slow.write(Uint8Array.of(byte))
          sent++
          await sleep(them.clock, 1_000, never)
        }
      }
      const closed = [silent, slow].map((stream) => once(stream.resume(), 'close'))
      void drip()
      await Promise.all(closed)
      expect(sent).toBeLessThan(10)
      expect(us.counts.get('inbound.no-handshake')).toBe(2)
      await pause(2_000)
    }))

  test('who sends garbage gets no more than a key exchange', () =>
    inMemory({}, async ({ us, dial, them }) => {
      const peers = await Promise.all(Array.from({ length: 50 }, async () => new ScriptedPeer(await dial())))
      for (const peer of peers) peer.send(them.random.bytes(2_000))
      await pause(10_000)
      expect(us.visits).toEqual([])
      expect(us.counts.get('inbound.no-handshake')).toBe(50)
      const longest = 96 + limits.msePadBytes
      for (const peer of peers) expect(peer.receivedHandshake.length).toBeLessThanOrEqual(longest)
      // And who is honest is still heard.
      introduce(await dial())
      await pause(20_000)
      expect(us.visits).toHaveLength(1)
    }))

  test('who is on the blocklist', () =>
    inMemory({ blocked: `x:${THEM}-${THEM}` }, async ({ us, dial }) => {
      const peer = introduce(await dial())
      const other = introduce(await dial('198.51.100.3'))
      await pause(20_000)
      expect(peer.receivedHandshake).toHaveLength(0)
      expect(other.receivedHandshake).toHaveLength(68)
      expect(us.visits).toMatchObject([{ peer: { address: '198.51.100.3' } }])
      expect(us.counts.get('gate.refused-caller.blocklist')).toBe(1)
    }))

  test('anybody for a swarm that is not served any more', () =>
    inMemory({}, async ({ us, dial }) => {
      us.listener.serve(SWARM, () => {})()
      const peer = introduce(await dial())
      await pause(10_000)
      expect(peer.receivedHandshake).toHaveLength(0)
      expect(us.counts.get('inbound.refused.not-listening')).toBe(1)
    }))
})

test('we call ourselves: both ends say so and nobody is recorded', () =>
  inMemory({}, async ({ us, them }) => {
    const meter = countingMeter()
    const policy = createAddressPolicy(them, { profile: profiles.lab, allowPrivate: true })
    const gate = createGate({ host: them, policy, meter })
    const harvester = createHarvester(
      { ...them, gate, logger: silentLogger, meter },
      { peerId: OUR_ID, clientName: 'Swarmatlas 0.1.0', listenPort: us.listener.port },
    )
    const visit = harvester.visit(
      { address: US, port: us.listener.port },
      {
        ...{ swarm: SWARM, signal: never, claim: { channels: 1 }, stayMs: 15_000 },
        ...{ private: () => false, wantsMetadata: () => false, pieceCount: () => undefined },
      },
    )
    let step = await visit.next()
    while (!step.done) step = await visit.next()
    expect(step.value).toMatchObject({ outcome: 'forbidden', detail: 'ourselves' })
    await pause(1_000)
    expect(us.visits).toEqual([undefined])
    expect(us.events.filter(({ type }) => type === 'observation')).toEqual([])
  }))

describe('opening and closing', () => {
  test('a port that another has is NO_NETWORK, and nothing stays open', async () => {
    await using _ = leakCheck()
    const host = nodeHost()
    const other = await host.tcp.listen({ address: '0.0.0.0', port: 0, onConnection: () => {} })
    await expect(listenOn(host, { port: other.local.port })).rejects.toMatchObject({ code: 'NO_NETWORK' })
    await other.close()
  })

  test('closing cuts sessions, which end with what is known; it may be done twice', () =>
    inMemory({}, async ({ us, dial }) => {
      const stream = await dial()
      const { p, m, v } = HELLO
      const peer = new ScriptedPeer(stream)
      peer.send(handshake(SWARM), extension(0, { m, p, v }))
      await pause(1_000)
      await Promise.all([us.listener.close(), us.listener.close()])
      await pause(1_000)
      expect(us.visits).toMatchObject([{ handshaken: true, outcome: 'reset', peer: { address: THEM, port: p } }])
    }))

  test('a session that nobody runs is hung up on', () =>
    inMemory({}, async ({ us, dial }) => {
      const seen: Endpoint[] = []
      us.listener.serve(SWARM, ({ from }) => seen.push(from))
      const stream = await dial()
      stream.write(handshake(SWARM))
      await once(stream.resume(), 'close')
      expect(seen).toMatchObject([{ address: THEM }])
    }))
})
