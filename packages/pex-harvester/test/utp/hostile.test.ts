import { endpointKey, limits } from '@swarmatlas/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodePacket, type Packet, TYPE } from '../../src/utp/packet.ts'
import { dialled, rawPeer, watch } from './raw-peer.ts'
import { A, B, connected, dial, never, pause, readAll, simulated } from './world.ts'

const bytes = (text: string) => Buffer.from(text, 'latin1')
const options = { purpose: 'peer', timeoutMs: limits.dialTimeoutMs, signal: never } as const
const wrap = (number: number) => number & 0xffff

test('a RESET with either id and an acknowledgement of ours ends a dial as refused', async () => {
  for (const step of [0, 1]) {
    await simulated({}, async ({ machine, network }) => {
      const peer = await rawPeer(network.host(B.address))
      const connecting = machine(A.address, A.port).utp.connect(B, options)
      while (peer.received.length === 0) await pause(10)
      const syn = peer.received[0] as Packet
      await peer.say({ type: TYPE.reset, connectionId: wrap(syn.connectionId + step), ack: syn.seq })
      expect(await connecting).toMatchObject({ ok: false, outcome: 'refused' })
      await pause(10_000)
      expect(peer.received).toHaveLength(1)
    })
  }
})

test('a forged RESET (address, port, id, acknowledgement) ends nothing; the right one does', () =>
  simulated({}, async ({ machine, network }) => {
    const host = network.host([B.address, '192.0.2.66'])
    const peer = await rawPeer(host)
    const seen = watch(await dialled(machine(A.address, A.port), peer))
    const reset = { ...peer.facts, type: TYPE.reset }
    for (const at of [
      { ...B, port: 9 },
      { address: '192.0.2.66', port: B.port },
    ]) {
      const forger = await rawPeer(host, at)
      await forger.say(reset)
    }
    await peer.say({ ...reset, connectionId: wrap(reset.connectionId + 2) })
    await peer.say({ ...reset, connectionId: wrap(reset.connectionId - 1) })
    await peer.say({ ...reset, ack: wrap(reset.ack + 1) })
    await peer.say({ ...reset, ack: wrap(reset.ack - 1_000) })
    await peer.say({ type: TYPE.data, payload: bytes('alive') })
    expect(seen).toEqual({ text: 'alive', end: false, close: false, error: undefined })
    await peer.say(reset)
    expect(seen).toMatchObject({ close: true, error: 'ECONNRESET' })
  }))

test('an answer with a wrong acknowledgement, or of a wrong type, opens nothing', () =>
  simulated({}, async ({ machine, network }) => {
    const peer = await rawPeer(network.host(B.address))
    const connecting = machine(A.address, A.port).utp.connect(B, options)
    while (peer.received.length === 0) await pause(10)
    const { connectionId, seq } = peer.received[0] as Packet
    for (const ack of [wrap(seq - 1), wrap(seq + 1), 0]) await peer.say({ connectionId, ack }, { waitMs: 100 })
    for (const type of [TYPE.data, TYPE.fin, TYPE.syn]) {
      await peer.say({ connectionId, ack: seq, type, payload: bytes('x') }, { waitMs: 100 })
    }
    expect(await connecting).toMatchObject({ ok: false, outcome: 'timeout' })
  }))

test('what acknowledges more than was sent is dropped whole, its data too', () =>
  simulated({}, async ({ machine, network }) => {
    const a = machine(A.address, A.port)
    const peer = await rawPeer(network.host(B.address))
    const stream = await dialled(a, peer)
    const seen = watch(stream)
    stream.write('something')
    await pause(300)
    const last = peer.received.at(-1)?.seq ?? 0
    for (const beyond of [1, 2, 1_000, 32_767, 32_768]) {
      await peer.say({ type: TYPE.data, ack: wrap(last + beyond), payload: bytes('forged') }, { waitMs: 100 })
    }
    expect(a.counts.get('utp.dropped.ack')).toBe(5)
    await peer.say({ type: TYPE.data, ack: last, payload: bytes('true') })
    expect(seen).toMatchObject({ text: 'true', close: false })
  }))

test('a giant selective ACK, of all that was and was not sent, confuses nothing', () =>
  simulated({ delayMs: [50, 50] }, async ({ machine, network }) => {
    const a = machine(A.address, A.port)
    const peer = await rawPeer(network.host(B.address))
    const stream = await dialled(a, peer)
    stream.write(Buffer.alloc(40_000))
    await pause(200)
    const first = peer.of(TYPE.data)[0]?.seq ?? 0
    const sack = new Uint8Array(252).fill(0xff)
    for (let i = 0; i < 10; i++) await peer.say({ sack }, { waitMs: 100 })
    // The first packet alone is missing, and is repeated; the window has opened for new ones meanwhile.
    expect(peer.of(TYPE.data).filter(({ seq }) => seq === first).length).toBeGreaterThan(1)
    expect(peer.of(TYPE.data).length).toBeLessThan(40)
    await peer.say({ ack: wrap(first - 60), sack })
    expect(stream.destroyed).toBe(false)
  }))

test('a window of 0 is sent one packet now and then, and in the end nothing; writers wait meanwhile', () =>
  simulated({}, async ({ machine, network }) => {
    const peer = await rawPeer(network.host(B.address))
    Object.assign(peer.facts, { windowBytes: 0 })
    const stream = await dialled(machine(A.address, A.port), peer)
    const seen = watch(stream)
    expect(stream.write(Buffer.alloc(1_000_000))).toBe(false)
    let drained = false
    stream.on('drain', () => {
      drained = true
    })
    for (let i = 0; i < 60 && !seen.close; i++) await peer.say()
    expect(peer.of(TYPE.data).length).toBeLessThanOrEqual(limits.utpTransmissions)
    expect([drained, seen.close, seen.error]).toEqual([false, true, 'ETIMEDOUT'])
  }))

test('data beyond the window, far ahead, or long past is dropped; what is unread stays bounded', () =>
  simulated({}, async ({ machine, network }) => {
    const a = machine(A.address, A.port)
    const peer = await rawPeer(network.host(B.address))
    const stream = await dialled(a, peer)
    const data = (seq: number, length: number) =>
      peer.say({ type: TYPE.data, seq: wrap(seq), payload: new Uint8Array(length) }, { waitMs: 1 })
    for (const seq of [500 + limits.utpReorderPackets, 10_000, 500 + 32_767, 500 - 1, 500 - 32_000]) await data(seq, 9)
    await pause(300)
    expect(peer.received.at(-1)).toMatchObject({ ack: 499, sack: undefined })
    for (let ahead = 1; ahead < limits.utpReorderPackets; ahead++) await data(500 + ahead, 1_400)
    await pause(300)
    expect(peer.received.at(-1)?.sack?.length).toBeLessThanOrEqual(limits.utpReorderPackets / 8)
    expect(peer.received.at(-1)?.windowBytes).toBeLessThan(1_400)
    // The gap closes; nobody reads.
    for (let i = 0; i < 300; i++) await data(500 + i, 1_400)
    await pause(300)
    expect(stream.readableLength).toBeLessThanOrEqual(limits.utpReceiveWindowBytes + 1_400)
    expect(peer.received.at(-1)?.windowBytes).toBeLessThan(1_400)
    expect(a.counts.get('utp.dropped.outside-window')).toBeGreaterThan(100)
  }))

test('the first FIN says where the end is; a second one does not move it', () =>
  simulated({}, async ({ machine, network }) => {
    const peer = await rawPeer(network.host(B.address))
    const seen = watch(await dialled(machine(A.address, A.port), peer))
    await peer.say({ type: TYPE.fin, seq: 502 })
    await peer.say({ type: TYPE.fin, seq: 501 })
    await peer.say({ type: TYPE.data, seq: 500, payload: bytes('all') })
    expect(seen).toMatchObject({ text: 'all', end: true, error: undefined })
    expect(peer.of(TYPE.fin)[0]?.ack).toBe(502)
  }))

test('who is not listening answers nobody', () =>
  simulated({}, async ({ machine, network }) => {
    const a = machine(A.address, A.port)
    await a.utp.connect({ address: '192.0.2.9', port: 6_881 }, options)
    const peer = await rawPeer(network.host(B.address))
    for (const type of Object.values(TYPE)) await peer.say({ type, payload: bytes('?') })
    expect(peer.received).toEqual([])
    expect(a.counts.get('utp.dropped.not-listening')).toBe(1)
    expect(a.counts.get('utp.dropped.unknown')).toBe(4)
  }))

test('a flood of SYNs opens nothing, costs a bounded number of answers, and passes', () =>
  simulated({}, async ({ machine, network }) => {
    const b = machine(B.address, B.port)
    let accepted = 0
    await b.utp.listen(() => accepted++)
    const flood = network.host('10.0.0.0/8')
    for (let i = 0; i < 5_000; i++) {
      const address = `10.1.${i >> 8}.${i & 255}`
      const socket = await flood.udp.open({ family: 4, address, port: 6_881, onMessage() {}, onError() {} })
      const syn = { type: TYPE.syn, timestampUs: 1, differenceUs: 0, windowBytes: 0, seq: i, ack: 0 }
      socket.send(encodePacket({ ...syn, connectionId: i }, undefined, new Uint8Array()), B)
    }
    await pause(1_000)
    const answers = [...network.stats.datagrams].filter(([to]) => to.startsWith('10.')).length
    expect(answers).toBe(limits.utpHalfOpen)
    expect(b.counts.get('utp.refused.half-open')).toBe(5_000 - limits.utpHalfOpen)
    await pause(limits.utpHalfOpenMs)
    expect(accepted).toBe(0)
    const near = await dial(machine(A.address, A.port), B)
    near?.write('hello')
    await pause(1_000)
    expect(accepted).toBe(1)
  }))

test('one address has few connections half open; a guessed acknowledgement opens none; a repeated SYN is answered again', () =>
  simulated({}, async ({ machine, network }) => {
    const a = machine(A.address, A.port)
    const seen: ReturnType<typeof watch>[] = []
    await a.utp.listen((stream) => seen.push(watch(stream)))
    const peer = await rawPeer(network.host(B.address))
    for (let id = 0; id < 50; id++) await peer.say({ type: TYPE.syn, connectionId: 2 * id, seq: 7 }, { waitMs: 1 })
    await pause(300)
    expect(peer.received).toHaveLength(limits.utpHalfOpenPerAddress)
    await peer.say({ type: TYPE.syn, connectionId: 0, seq: 7 })
    expect(peer.received).toHaveLength(limits.utpHalfOpenPerAddress + 1)
    expect(new Set(peer.of(TYPE.state).map(({ connectionId }) => connectionId)).size).toBe(limits.utpHalfOpenPerAddress)
    const [state] = peer.of(TYPE.state) as [Packet]
    expect(state).toMatchObject({ connectionId: 0, ack: 7 })
    const data = { type: TYPE.data, connectionId: 1, seq: 8, payload: bytes('hello') }
    for (const guess of [0, state.seq, wrap(state.seq + 1), wrap(state.seq - 2)]) {
      await peer.say({ ...data, ack: guess }, { waitMs: 300 })
    }
    expect(seen).toEqual([])
    await peer.say({ ...data, ack: wrap(state.seq - 1) }, { waitMs: 500 })
    expect(seen).toMatchObject([{ text: 'hello', close: false }])
  }))

test('the policy decides who is answered', () =>
  simulated({}, async ({ machine, network }) => {
    const a = machine(A.address, A.port)
    await a.utp.listen(() => {})
    const low = await rawPeer(network.host(B.address), { ...B, port: 53 })
    await low.say({ type: TYPE.syn })
    expect(low.received).toEqual([])
    expect(a.counts.get('utp.refused.policy')).toBe(1)
  }))

test('closed while a dial and a stream are open: the dial ends, the stream closes, the peer is told', () =>
  simulated({}, async ({ machine, network }) => {
    const a = machine(A.address, A.port)
    const b = machine(B.address, B.port)
    const [near, far] = await connected(a, b)
    const [seen, other] = [watch(near), watch(far)]
    const dialling = a.utp.connect({ address: '192.0.2.9', port: 6_881 }, options)
    await pause(100)
    await a.utp.close()
    expect(await dialling).toMatchObject({ ok: false })
    await pause(1_000)
    expect([seen.close, seen.error, other.end, other.close]).toEqual([true, undefined, true, true])
    const sent = network.stats.datagrams.get(endpointKey({ address: '192.0.2.9', port: 6_881 }))
    await pause(60_000)
    expect(network.stats.datagrams.get(endpointKey({ address: '192.0.2.9', port: 6_881 }))).toBe(sent)
  }))

test('no packets, whatever they say, throw or harm another connection', async () => {
  const near = (number: number) => fc.integer({ min: -3, max: 3 }).map((step) => wrap(number + step))
  const uint32 = fc.oneof(fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 1), fc.nat())
  const packets = fc.record({
    type: fc.constantFrom(...Object.values(TYPE)),
    idStep: fc.integer({ min: -2, max: 2 }),
    timestampUs: uint32,
    differenceUs: uint32,
    windowBytes: uint32,
    seq: fc.oneof(near(500), fc.nat(65_535)),
    ackStep: fc.oneof(fc.integer({ min: -3, max: 3 }), fc.nat(65_535)),
    sack: fc.option(fc.uint8Array({ maxLength: 255 }), { nil: undefined }),
    payload: fc.uint8Array({ maxLength: 1_500 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(packets, fc.uint8Array({ maxLength: 100 })), { maxLength: 60 }), (hostile) =>
      simulated({ delayMs: [5, 5] }, async ({ machine, network }) => {
        const a = machine(A.address, A.port)
        await a.utp.listen((stream) => void stream.pipe(stream))
        const peer = await rawPeer(network.host(B.address))
        const stream = await dialled(a, peer)
        watch(stream)
        stream.write(Buffer.alloc(5_000))
        for (const each of hostile) {
          if (each instanceof Uint8Array) peer.socket.send(each, A)
          else {
            const { idStep, ackStep, ...packet } = each
            const { connectionId, ack } = peer.facts
            await peer.say(
              { ...packet, connectionId: wrap(connectionId + idStep), ack: wrap(ack + ackStep) },
              { waitMs: 1 },
            )
          }
        }
        await pause(50)
        const other = machine('192.0.2.5', 7_005)
        const echo = await dial(other, A)
        echo?.end('unharmed')
        expect(String(echo && (await readAll(echo)))).toBe('unharmed')
      }),
    ),
    { numRuns: 100 },
  )
})
