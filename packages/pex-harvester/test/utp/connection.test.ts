import {
  countingMeter,
  createAddressPolicy,
  createGate,
  endpointKey,
  type Gate,
  limits,
  profiles,
  shareUdp,
} from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { leakCheck } from '@swarmatlas/testkit'
import { expect, test } from 'vitest'
import { type Packet, TYPE } from '../../src/utp/packet.ts'
import { createUtp } from '../../src/utp/utp.ts'
import { dialled, rawPeer, watch } from './raw-peer.ts'
import { A, B, B6, connected, dial, type Machine, never, pause, readAll, simulated } from './world.ts'

const bytes = (text: string) => Buffer.from(text, 'latin1')
const options = { purpose: 'peer', timeoutMs: limits.dialTimeoutMs, signal: never } as const

test('the dial: SYN under one id, everything after under the next; what is written at once goes at once', () =>
  simulated({ delayMs: [50, 50] }, async ({ machine, network }) => {
    const peer = await rawPeer(network.host(B.address))
    const stream = await dialled(machine(A.address, A.port), peer)
    const [syn] = peer.received as [Packet]
    expect(syn).toMatchObject({ type: TYPE.syn, windowBytes: limits.utpReceiveWindowBytes })
    expect(peer.received).toHaveLength(1)
    stream.write('hand')
    stream.write('shake')
    await pause(100)
    const [data, ...more] = peer.received.slice(1) as [Packet]
    expect(String(data.payload)).toBe('handshake')
    expect(more).toEqual([])
    expect(data).toMatchObject({ type: TYPE.data, seq: (syn.seq + 1) & 0xffff, ack: 499 })
    expect(data.connectionId).toBe((syn.connectionId + 1) & 0xffff)
    expect(data.differenceUs).not.toBe(0)
  }))

test('an answer to data carries its acknowledgement; without one a STATE does', () =>
  simulated({ delayMs: [50, 50] }, async ({ machine, network }) => {
    const peer = await rawPeer(network.host(B.address))
    const stream = await dialled(machine(A.address, A.port), peer)
    stream.once('data', () => stream.write('answer'))
    await peer.say({ type: TYPE.data, seq: 500, payload: bytes('question') }, { waitMs: 300 })
    expect(peer.received.slice(1).map(({ type, ack }) => [type, ack])).toEqual([[TYPE.data, 500]])
    await peer.say({ type: TYPE.data, seq: 501, ack: peer.received[1]?.seq ?? 0, payload: bytes('more') })
    expect(peer.received.slice(2).map(({ type, ack }) => [type, ack])).toEqual([[TYPE.state, 501]])
  }))

test('ids and sequence numbers wrap', () =>
  simulated({ lossShare: 0.05 }, async ({ machine }) => {
    const atTheEdge = ({ host }: Machine) => {
      host.random.bytes = (length) => new Uint8Array(length).fill(0xff)
    }
    const a = machine(A.address, A.port)
    const b = machine(B.address, B.port)
    atTheEdge(a)
    atTheEdge(b)
    const [near, far] = await connected(a, b)
    near.end(Buffer.alloc(100_000, 7))
    far.end(Buffer.alloc(50_000, 8))
    const [there, back] = await Promise.all([readAll(far), readAll(near)])
    expect([there.equals(Buffer.alloc(100_000, 7)), back.equals(Buffer.alloc(50_000, 8))]).toEqual([true, true])
  }))

test('timestamps wrap after 71 minutes, and differences between any clocks do', () =>
  simulated({ lossShare: 0.02 }, async ({ machine, time }) => {
    const a = machine(A.address, A.port)
    const b = machine(B.address, B.port)
    for (const [{ host }, startMs] of [
      [a, 2 ** 32 / 1000 - 500],
      [b, 1e9],
    ] as const) {
      host.clock.monotonic = () => startMs + time.elapsedMs()
    }
    const [near, far] = await connected(a, b)
    const startedMs = time.elapsedMs()
    near.end(Buffer.alloc(300_000, 7))
    far.end()
    expect((await readAll(far)).length).toBe(300_000)
    expect(time.elapsedMs() - startedMs).toBeLessThan(15_000)
  }))

test('a packet that three later ones prove lost is sent again at once, and once in a round trip', () =>
  simulated({ delayMs: [50, 50] }, async ({ machine, network }) => {
    const peer = await rawPeer(network.host(B.address))
    const stream = await dialled(machine(A.address, A.port), peer)
    const first = (peer.received[0]?.seq ?? 0) + 1
    stream.write(Buffer.alloc(4 * 1_212))
    await pause(200)
    expect(peer.of(TYPE.data).map(({ seq }) => seq - first)).toEqual([0, 1, 2, 3])
    // The first is lost; 1, 2 and 3 are bits 0, 1 and 2 of the selective ACK.
    await peer.say({ sack: Uint8Array.from([0b011, 0, 0, 0]) }, { waitMs: 10 })
    await peer.say({ sack: Uint8Array.from([0b111, 0, 0, 0]) }, { waitMs: 10 })
    await peer.say({ sack: Uint8Array.from([0b111, 0, 0, 0]) }, { waitMs: 110 })
    expect(
      peer
        .of(TYPE.data)
        .slice(4)
        .map(({ seq }) => seq - first),
    ).toEqual([0])
    // Lost again, as is known after another round trip, long before the timeout.
    await pause(100)
    await peer.say({ sack: Uint8Array.from([0b111, 0, 0, 0]) }, { waitMs: 110 })
    expect(peer.of(TYPE.data)).toHaveLength(6)
    await peer.say({ ack: first + 3 })
    expect(peer.of(TYPE.data)).toHaveLength(6)
  }))

test('three duplicate ACKs do without a selective one; what is unanswered is sent again ever later, then all ends', () =>
  simulated({ delayMs: [50, 50] }, async ({ machine, network, time }) => {
    const peer = await rawPeer(network.host(B.address))
    const stream = await dialled(machine(A.address, A.port), peer)
    const seen = watch(stream)
    stream.write('lost')
    for (let i = 0; i < 3; i++) await peer.say({}, { waitMs: 20 })
    await pause(150)
    expect(peer.of(TYPE.data)).toHaveLength(2)
    const startedMs = time.elapsedMs()
    while (!seen.close) await pause(100)
    expect(seen.error).toBe('ETIMEDOUT')
    expect(peer.of(TYPE.data)).toHaveLength(limits.utpTransmissions)
    expect(time.elapsedMs() - startedMs).toBeLessThan(60_000)
  }))

test('packets out of order are acknowledged selectively, and handed on in order', () =>
  simulated({}, async ({ machine, network }) => {
    const peer = await rawPeer(network.host(B.address))
    const seen = watch(await dialled(machine(A.address, A.port), peer))
    const data = (seq: number, text: string) => peer.say({ type: TYPE.data, seq, payload: bytes(text) })
    await data(502, 'c')
    await data(509, 'j')
    expect(seen.text).toBe('')
    // Bit 0 is packet ack + 2 = 501, which did not come.
    expect(peer.of(TYPE.state).at(-1)).toMatchObject({ ack: 499, sack: Buffer.from([0b10, 0b1, 0, 0]) })
    await data(500, 'a')
    await data(501, 'b')
    await data(501, 'x')
    expect(seen.text).toBe('abc')
    expect(peer.of(TYPE.state).at(-1)?.ack).toBe(502)
    for (const seq of [508, 507, 506, 505, 504, 503]) await data(seq, '.')
    expect(seen.text).toBe('abc......j')
    expect(peer.of(TYPE.state).at(-1)).toMatchObject({ ack: 509, sack: undefined })
  }))

test('FIN ends a direction after all before it; both ended, both streams close without error', () =>
  simulated({}, async ({ machine, network }) => {
    const peer = await rawPeer(network.host(B.address))
    const seen = watch(await dialled(machine(A.address, A.port), peer))
    await peer.say({ type: TYPE.fin, seq: 501 })
    expect(seen.end).toBe(false)
    await peer.say({ type: TYPE.data, seq: 502, payload: bytes('past the end') })
    await peer.say({ type: TYPE.data, seq: 500, payload: bytes('last') })
    expect(seen).toEqual({ text: 'last', end: true, close: true, error: undefined })
    const [fin] = peer.of(TYPE.fin) as [Packet]
    expect(fin.ack).toBe(501)
    await peer.say({ seq: 502, ack: fin.seq })
    await pause(60_000)
    expect(peer.of(TYPE.fin).length).toBeLessThanOrEqual(3)
  }))

test('end() sends all that was written; destroy() says FIN, answers data with RESET, and gives up soon', () =>
  simulated({ delayMs: [50, 50] }, async ({ machine, network, time }) => {
    const a = machine(A.address, A.port)
    const b = machine(B.address, B.port)
    const [near, far] = await connected(a, b)
    near.end(Buffer.alloc(200_000))
    expect((await readAll(far)).length).toBe(200_000)

    const peer = await rawPeer(network.host('192.0.2.3'), { address: '192.0.2.3', port: B.port })
    await b.utp.close()
    const again = await rawPeer(network.host(B.address))
    const stream = await dialled(a, again)
    stream.destroy()
    await pause(1_000)
    expect(again.of(TYPE.fin).length).toBeGreaterThan(0)
    await again.say({ type: TYPE.data, seq: 500, payload: bytes('still here') })
    expect(again.of(TYPE.reset)).toHaveLength(1)
    // Over: the next packet is answered once more, then no more.
    await again.say({ type: TYPE.data, seq: 501, payload: bytes('hello?') })
    await again.say({ type: TYPE.data, seq: 502, payload: bytes('hello?') })
    expect(again.of(TYPE.reset)).toHaveLength(2)
    expect(peer.received).toEqual([])

    // Never closes, never answers.
    again.received.length = 0
    const silent = await dialled(a, again)
    const sentBefore = network.stats.datagrams.get(endpointKey(B)) ?? 0
    silent.destroy()
    const startedMs = time.elapsedMs()
    await pause(limits.utpFarewellMs + 60_000)
    expect((network.stats.datagrams.get(endpointKey(B)) ?? 0) - sentBefore).toBeLessThanOrEqual(4)
    expect(time.elapsedMs() - startedMs).toBeGreaterThan(limits.utpFarewellMs)
  }))

test('who reads slowly is sent no more than the window, and the rest once it reads', () =>
  simulated({}, async ({ machine, time }) => {
    const a = machine(A.address, A.port)
    const [near, far] = await connected(a, machine(B.address, B.port))
    far.pause()
    near.end(Buffer.alloc(500_000, 7))
    const inFlight = limits.utpReceiveWindowBytes + limits.utpPacketBytes
    await pause(10_000)
    expect(far.readableLength).toBeGreaterThan(limits.utpReceiveWindowBytes / 2)
    expect(far.readableLength).toBeLessThanOrEqual(inFlight)
    const startedMs = time.elapsedMs()
    expect((await readAll(far)).length).toBe(500_000)
    expect(time.elapsedMs() - startedMs).toBeLessThan(30_000)
  }))

test('a window that opens is told at once; an overtaken packet does not close it again', () =>
  simulated({ delayMs: [20, 20] }, async ({ machine, network }) => {
    const peer = await rawPeer(network.host(B.address))
    const stream = await dialled(machine(A.address, A.port), peer)
    stream.pause()
    for (let seq = 500; seq < 594; seq++) {
      await peer.say({ type: TYPE.data, seq, payload: Buffer.alloc(1_400) }, { waitMs: 1 })
    }
    await pause(300)
    expect(peer.received.at(-1)?.windowBytes).toBeLessThan(1_400)
    const before = peer.received.length
    stream.resume()
    await pause(300)
    expect(peer.received.slice(before).map(({ windowBytes }) => windowBytes)).toEqual([limits.utpReceiveWindowBytes])

    stream.write(Buffer.alloc(1_212))
    await pause(60)
    const { ack } = peer.facts
    await peer.say({ ack: ack + 1 }, { waitMs: 60 })
    await peer.say({ ack, windowBytes: 0 }, { waitMs: 60 })
    stream.write('after all')
    await pause(60)
    expect(String(peer.of(TYPE.data).at(-1)?.payload)).toBe('after all')
  }))

test('while packets are missing, a selective ACK goes out beside data', () =>
  simulated({}, async ({ machine, network }) => {
    const peer = await rawPeer(network.host(B.address))
    const stream = await dialled(machine(A.address, A.port), peer)
    stream.write(Buffer.alloc(20_000))
    await pause(300)
    const sent = peer.of(TYPE.data).length
    // Its acknowledgement lets more data out at once.
    const ack = peer.of(TYPE.data)[0]?.seq ?? 0
    await peer.say({ type: TYPE.data, seq: 501, ack, payload: bytes('early') }, { waitMs: 250 })
    expect(peer.of(TYPE.data).length).toBeGreaterThan(sent)
    expect(peer.of(TYPE.state).at(-1)?.sack).toEqual(Buffer.from([0b1, 0, 0, 0]))
  }))

test('silence is a timeout after 3 SYNs; an abort rejects with its reason; afterwards nothing is sent', () =>
  simulated({}, async ({ machine, network }) => {
    const a = machine(A.address, A.port)
    expect(await a.utp.connect(B, options)).toMatchObject({ ok: false, outcome: 'timeout' })
    expect(network.stats.datagrams.get(endpointKey(B))).toBe(limits.utpSynTransmissions)
    const controller = new AbortController()
    const connecting = a.utp.connect(B, { ...options, signal: controller.signal })
    await pause(500)
    controller.abort(new Error('enough'))
    await expect(connecting).rejects.toThrow('enough')
    await pause(60_000)
    expect(network.stats.datagrams.get(endpointKey(B))).toBe(limits.utpSynTransmissions + 1)
    await expect(a.utp.connect(B, { ...options, signal: controller.signal })).rejects.toThrow('enough')
  }))

test('a late answer to a dial that was given up is told so, once', () =>
  simulated({}, async ({ machine, network }) => {
    const a = machine(A.address, A.port)
    const peer = await rawPeer(network.host(B.address))
    await a.utp.connect(B, options)
    const [syn] = peer.received as [Packet]
    for (let i = 0; i < 3; i++) await peer.say({ connectionId: syn.connectionId, ack: syn.seq })
    expect(peer.of(TYPE.reset).map(({ connectionId }) => connectionId)).toEqual([(syn.connectionId + 1) & 0xffff])
  }))

test('what the policy refuses is not sent; a family without a socket is refused', () =>
  simulated({}, async ({ machine, network }) => {
    const a = machine(A.address, A.port)
    expect(await a.utp.connect({ ...B, port: 53 }, options)).toMatchObject({
      ok: false,
      outcome: 'forbidden',
      refusal: { reason: 'service-port' },
    })
    expect(await a.utp.connect(B6, options)).toMatchObject({ ok: false, outcome: 'unreachable' })
    expect(network.stats.datagrams.size).toBe(0)
  }))

test('what the system cannot send ends the dials to that endpoint at once, and no others', () =>
  simulated({}, async ({ machine, time }) => {
    const a = machine(A.address, A.port)
    let fail: (error: Error) => void = () => {}
    const gate: Gate = {
      ...a.gate,
      udp(udpOptions) {
        fail = udpOptions.onError
        return a.gate.udp(udpOptions)
      },
    }
    await using utp = createUtp({ ...a.host, gate, meter: countingMeter() })
    const dials = [B, { ...B, port: 9_000 }].map((to) => utp.connect(to, options))
    await pause(10)
    const error = { code: 'ENETUNREACH', address: B.address, port: B.port }
    fail(Object.assign(new Error('send ENETUNREACH'), error))
    expect(await dials[0]).toMatchObject({ ok: false, outcome: 'unreachable' })
    expect(time.elapsedMs()).toBeLessThan(100)
    fail(new Error('of nobody'))
    expect(await dials[1]).toMatchObject({ ok: false, outcome: 'timeout' })
  }))

test('the ledger holds what the network carried, headers included', () =>
  simulated({ lossShare: 0.05 }, async ({ machine, network }) => {
    const a = machine(A.address, A.port)
    const b = machine(B.address, B.port)
    const [near, far] = await connected(a, b)
    near.end(Buffer.alloc(50_000))
    far.end()
    await readAll(far)
    await a.utp.close()
    const { bytesOut, packetsOut } = a.gate.ledger.totals().pex
    expect(packetsOut).toBe(network.stats.datagrams.get(endpointKey(B)))
    expect(bytesOut).toBe((network.stats.bytes.get(B.address) ?? 0) + 28 * packetsOut)
  }))

test('1,000 connections at once, both ways, to one listener', () =>
  simulated({ lossShare: 0.01 }, async ({ machine }) => {
    const a = machine(A.address, A.port)
    const b = machine(B.address, B.port)
    // An address may have few connections half open: an honest one that opens many has to try again.
    await b.utp.listen((stream) => void stream.on('data', (chunk) => stream.write(chunk)))
    const open: { text: string }[] = []
    for (let i = 0; i < 1_000 / limits.utpHalfOpenPerAddress; i++) {
      const batch = Array.from({ length: limits.utpHalfOpenPerAddress }, async (_, j) => {
        const stream = await dial(a, B)
        if (stream === undefined) return
        open.push(watch(stream))
        stream.write(`${i} ${j}`)
        await new Promise((resolve) => stream.once('data', resolve))
      })
      await Promise.all(batch)
    }
    expect(open.length).toBeGreaterThan(990)
    expect(new Set(open.map(({ text }) => text)).size).toBe(open.length)
    await Promise.all([a.utp.close(), b.utp.close()])
    await expect(dial(a, B)).rejects.toMatchObject({ code: 'ABORTED' })
  }))

test('real sockets: an echo on loopback, and nothing is left behind', async () => {
  await using _ = leakCheck()
  const host = nodeHost()
  const machines = [1, 2].map(() => {
    const meter = countingMeter()
    const policy = createAddressPolicy(host, { profile: profiles.lab, allowPrivate: true })
    const gate = createGate({ host, policy, meter }, { bind: '127.0.0.1' })
    return createUtp({ ...host, gate: shareUdp({ gate, meter }), meter })
  })
  const [a, b] = machines as [(typeof machines)[0], (typeof machines)[0]]
  const { locals } = await b.listen((stream) => void stream.pipe(stream))
  const result = await a.connect(locals[0] as typeof B, options)
  if (!result.ok) throw new Error(result.detail)
  result.stream.end('there and back')
  expect(String(await readAll(result.stream))).toBe('there and back')
  await Promise.all([a.close(), b.close(), a.close()])
})
