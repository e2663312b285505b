import { getEventListeners } from 'node:events'
import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import {
  countingMeter,
  createAddressPolicy,
  createGate,
  type Endpoint,
  type GateOptions,
  type Host,
  limits,
  outcomeOf,
  type Profile,
  profiles,
  type TcpStream,
  type UdpOptions,
} from '../src/index.ts'
import { FakeClock } from './fake-clock.ts'

type Listening = Parameters<Host['tcp']['listen']>[0]
type Connect = (options: { localAddress?: string | undefined; signal: AbortSignal }) => Promise<TcpStream>

/** A machine that records what reaches it; `connect` says what comes of a dial. */
function setUp(
  options: GateOptions = {},
  connect: Connect = async () => fakeStream(),
  profile: Profile = profiles.server,
) {
  const clock = new FakeClock()
  const sent: { bytes: Uint8Array; to: Endpoint }[] = []
  const dialled: { to: Endpoint; localAddress: string | undefined }[] = []
  const opened: UdpOptions[] = []
  const listening: Listening[] = []
  const host: Host = {
    clock,
    random: { bytes: (length) => new Uint8Array(length), float: () => 0 },
    resolver: { resolve: async (name) => [name] },
    udp: {
      async open(udp) {
        opened.push(udp)
        const local = { address: udp.address ?? '0.0.0.0', port: 1 }
        return {
          local,
          receiveBufferBytes: 1,
          send: (bytes, to) => void sent.push({ bytes, to }),
          close: async () => {},
        }
      },
    },
    tcp: {
      connect(to, tcp) {
        dialled.push({ to, localAddress: tcp.localAddress })
        return connect(tcp)
      },
      async listen(wanted) {
        listening.push(wanted)
        return { local: { address: wanted.address, port: wanted.port }, close: async () => {} }
      },
    },
  }
  const meter = countingMeter()
  const gate = createGate({ host, policy: createAddressPolicy({ clock }, { profile }), meter }, options)
  return { clock, gate, sent, dialled, opened, listening, counts: meter.counts }
}

function fakeStream(): TcpStream {
  return Object.assign(new PassThrough(), { bytesRead: 1000, bytesWritten: 100 })
}

const failing =
  (code: string): Connect =>
  () =>
    Promise.reject(Object.assign(new Error(`it says ${code}`), { code }))
/** Never connects; ends with the signal, as a real connection attempt does. */
const silent: Connect = ({ signal }) =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))

const friend = { address: '1.1.1.1', port: 6881 }
const victim = { address: '10.0.0.1', port: 6881 }
const udp4 = { family: 4, channel: 'dht', onMessage() {}, onError() {} } as const
const dial = { purpose: 'peer', timeoutMs: limits.dialTimeoutMs } as const
const running = () => new AbortController().signal

describe('UDP', () => {
  it('a refused datagram does not reach the host, is counted, and costs nothing', async () => {
    const { gate, sent, counts } = setUp()
    const socket = await gate.udp(udp4)
    expect(socket.send(new Uint8Array(10), victim, 'dht')).toEqual({ reason: 'address' })
    expect(socket.send(new Uint8Array(10), { address: '1.1.1.1', port: 53 }, 'dht')?.reason).toBe('service-port')
    expect(sent).toEqual([])
    expect(gate.ledger.totals().dht.bytesOut).toBe(0)
    expect([counts.get('gate.refused.address'), counts.get('gate.refused.service-port')]).toEqual([1, 1])
  })

  it('books what is sent by its purpose and what comes in by the socket, headers included', async () => {
    const { gate, sent, opened } = setUp()
    const received: Uint8Array[] = []
    const socket = await gate.udp({ ...udp4, onMessage: (bytes) => received.push(bytes) })
    expect(socket.send(new Uint8Array(10), friend, 'bootstrap')).toBeUndefined()
    expect(socket.send(new Uint8Array(10), friend, 'tracker')).toBeUndefined()
    opened[0]?.onMessage(new Uint8Array(20), friend)
    expect(sent).toHaveLength(2)
    expect(received).toHaveLength(1)
    const { dht, tracker } = gate.ledger.totals()
    expect([dht.bytesOut, tracker.bytesOut, dht.bytesIn]).toEqual([38, 38, 48])
  })
})

describe('the binding', () => {
  it.each([
    ['1.2.3.4', 4, { address: '2a01:4f8::1', port: 6881 }, friend],
    ['2a01:4f8::2', 6, friend, { address: '2a01:4f8::1', port: 6881 }],
  ] as const)('%s is where all leaves from, and the other family stays shut', async (bind, family, shut, open) => {
    const { gate, opened, dialled } = setUp({ bind, families: [4, 6] })
    expect(gate.families).toEqual([family])
    const socket = await gate.udp({ ...udp4, family })
    expect(opened.map((each) => each.address)).toEqual([bind])
    expect(socket.send(new Uint8Array(1), shut, 'dht')).toEqual({ reason: 'family' })
    await expect(gate.udp({ ...udp4, family: family === 4 ? 6 : 4 })).rejects.toMatchObject({ code: 'BAD_OPTION' })
    expect(await gate.dial(shut, { ...dial, signal: running() })).toMatchObject({
      ok: false,
      outcome: 'forbidden',
      detail: 'family',
    })
    expect(await gate.dial(open, { ...dial, signal: running() })).toMatchObject({ ok: true })
    expect(opened).toHaveLength(1)
    expect(dialled).toEqual([{ to: open, localAddress: bind }])
  })

  it('remembers the ports it dialled from, which peers gossip', async () => {
    const { gate } = setUp({}, async () => Object.assign(fakeStream(), { localPort: 50_123 }))
    expect(await gate.dial(friend, { ...dial, signal: running() })).toMatchObject({ ok: true })
    expect([...gate.sourcePorts]).toEqual([50_123])
  })

  it('without one, sockets take the wildcard address', async () => {
    const { gate, opened } = setUp()
    await gate.udp(udp4)
    expect(gate.families).toEqual([4, 6])
    expect(opened[0]?.address).toBeUndefined()
  })
})

describe('listening', () => {
  it('takes connections at the bound address, else at the wildcard of the family', async () => {
    const bound = setUp({ bind: '1.2.3.4' })
    await bound.gate.listen({ family: 4, port: 6881 }, () => {})
    await expect(bound.gate.listen({ family: 6, port: 6881 }, () => {})).rejects.toThrow('limited to 1.2.3.4')
    const free = setUp()
    for (const family of [4, 6] as const) await free.gate.listen({ family, port: 6881 }, () => {})
    expect([bound, free].map(({ listening }) => listening.map(({ address }) => address))).toEqual([
      ['1.2.3.4'],
      ['0.0.0.0', '::'],
    ])
  })

  it('a caller is handed on with its bytes booked to peers; one whom the policy refuses is cut off, and counted', async () => {
    const { gate, listening, counts } = setUp()
    const callers: [TcpStream, Endpoint][] = []
    await gate.listen({ family: 4, port: 6881 }, (stream, from) => callers.push([stream, from]))
    const [wanted, unwanted] = [fakeStream(), fakeStream()]
    // From a port that nobody may dial.
    listening[0]?.onConnection(wanted, { ...friend, port: 53 })
    listening[0]?.onConnection(unwanted, victim)
    expect(callers).toEqual([[wanted, { ...friend, port: 53 }]])
    expect([wanted.destroyed, unwanted.destroyed]).toEqual([false, true])
    expect(counts.get('gate.refused-caller.address')).toBe(1)
    expect(gate.ledger.totals().pex.bytesIn).toBeGreaterThan(2_000)
    expect(gate.sourcePorts.size).toBe(0)
    wanted.destroy(new Error('harms nobody'))
  })
})

describe('dialling', () => {
  it('a refused dial does not reach the host and says why', async () => {
    const { gate, dialled, counts } = setUp()
    const refused = await gate.dial(victim, { ...dial, signal: running() })
    expect(refused).toEqual({ ok: false, outcome: 'forbidden', detail: 'address', refusal: { reason: 'address' } })
    expect(dialled).toEqual([])
    expect(gate.ledger.totals().pex.packetsOut).toBe(0)
    expect(counts.get('gate.refused.address')).toBe(1)
  })

  it('a dial that only has to wait is over budget', async () => {
    const { gate } = setUp({}, undefined, { ...profiles.server, newEndpointsPerMinute: 1 })
    await gate.dial(friend, { ...dial, signal: running() })
    const held = await gate.dial({ address: '1.1.1.2', port: 6881 }, { ...dial, signal: running() })
    expect(held).toMatchObject({
      outcome: 'over-budget',
      refusal: { reason: 'new-endpoint-rate', retryAfterMs: expect.any(Number) },
    })
  })

  it.each([
    ['ECONNREFUSED', 'refused', 1, 1],
    ['ECONNRESET', 'reset', 1, 0],
    ['ETIMEDOUT', 'timeout', 1, 0],
    ['EHOSTUNREACH', 'unreachable', 1, 0],
    ['ENETUNREACH', 'unreachable', 1, 0],
    ['EMFILE', 'over-budget', 0, 0],
    ['EADDRNOTAVAIL', 'over-budget', 0, 0],
    ['ESOMETHING', 'unreachable', 1, 0],
  ])('%s is %s, booked as %i packet out and %i in', async (code, outcome, packetsOut, packetsIn) => {
    const { gate, clock } = setUp({}, failing(code))
    expect(await gate.dial(friend, { ...dial, signal: running() })).toMatchObject({ ok: false, outcome })
    expect(gate.ledger.totals().pex).toMatchObject({ packetsOut, packetsIn })
    expect(clock.pending).toBe(0)
    expect(outcomeOf(Object.assign(new Error(), { code }))).toBe(outcome)
  })

  it('silence ends at the time limit, booked with the SYNs of that time', async () => {
    const { gate, clock } = setUp({}, silent)
    const { signal } = new AbortController()
    const dialling = gate.dial(friend, { ...dial, signal })
    clock.advance(limits.dialTimeoutMs)
    expect(await dialling).toMatchObject({
      ok: false,
      outcome: 'timeout',
      detail: 'no answer to the connection attempt',
    })
    expect(gate.ledger.totals().pex).toMatchObject({ packetsOut: 3, packetsIn: 0 })
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })

  it('an abort rejects with its reason, books what left, and leaves nothing behind', async () => {
    const { gate, clock } = setUp({}, silent)
    const controller = new AbortController()
    const dialling = gate.dial(friend, { ...dial, signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(dialling).rejects.toThrow('enough')
    expect(gate.ledger.totals().pex.packetsOut).toBe(1)
    expect([clock.pending, getEventListeners(controller.signal, 'abort').length]).toEqual([0, 0])
  })

  it('an abort before it began contacts nobody and spends no allowance', async () => {
    const { gate, dialled } = setUp({}, undefined, { ...profiles.server, newEndpointsPerMinute: 1 })
    await expect(gate.dial(friend, { ...dial, signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow(
      'before',
    )
    expect(dialled).toEqual([])
    expect(await gate.dial(friend, { ...dial, signal: running() })).toMatchObject({ ok: true })
  })

  it('an open stream is booked until it closes, its error harms nobody, and no listener stays', async () => {
    const stream = fakeStream()
    const { gate, clock } = setUp({}, async () => stream)
    const { signal } = new AbortController()
    const result = await gate.dial(friend, { ...dial, signal })
    expect(result).toMatchObject({ ok: true })
    expect(gate.ledger.totals().pex.bytesIn).toBeGreaterThan(1000)
    expect([clock.pending, getEventListeners(signal, 'abort').length]).toEqual([0, 0])
    stream.destroy(Object.assign(new Error('reset'), { code: 'ECONNRESET' }))
    await new Promise((closed) => stream.once('close', closed))
    expect(gate.ledger.totals().pex.bytesIn).toBeGreaterThan(1000)
  })

  it('peers below port 1024 pass with two channels only', async () => {
    const { gate } = setUp()
    const low = { address: '1.1.1.1', port: 443 }
    expect(await gate.dial(low, { ...dial, signal: running() })).toMatchObject({ ok: false, detail: 'low-port' })
    expect(await gate.dial(low, { ...dial, signal: running(), claim: { channels: 2 } })).toMatchObject({ ok: true })
  })
})
