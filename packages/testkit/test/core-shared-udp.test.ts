import {
  countingMeter,
  createAddressPolicy,
  createGate,
  type Endpoint,
  type Host,
  profiles,
  type SharedUdpGate,
  shareUdp,
} from '@swarmatlas/core'
import { expect, test } from 'vitest'
import { createSimNetwork, type SimNetwork, withVirtualTime } from '../src/index.ts'

const A = '203.0.113.1'
const B = '198.51.100.2'

interface World {
  network: SimNetwork
  gate: SharedUdpGate
  host: Host
  counts: ReadonlyMap<string, number>
  /** Sends from a stranger to our port, and waits until it has arrived. */
  say(bytes: readonly number[], to: number): Promise<void>
}

function simulated(port: number | undefined, body: (world: World) => Promise<void>): Promise<void> {
  return withVirtualTime({ seed: 1 }, async ({ clock }) => {
    const network = createSimNetwork({ seed: 1 })
    const host = network.host([A, '2001:db8::1'])
    const meter = countingMeter()
    const policy = createAddressPolicy({ clock }, { profile: profiles.lab, allowPrivate: true })
    const gate = shareUdp({ gate: createGate({ host, policy, meter }), meter }, { port })
    const stranger = await network.host(B).udp.open({ family: 4, onMessage() {}, onError() {} })
    await body({
      network,
      gate,
      host,
      counts: meter.counts,
      async say(bytes, to) {
        stranger.send(Uint8Array.from(bytes), { address: A, port: to })
        await new Promise((resolve) => setTimeout(resolve, 1_000))
      },
    })
  })
}

function view(gate: SharedUdpGate, channel: 'dht' | 'pex', family: 4 | 6 = 4, port = 0) {
  const heard: number[] = []
  const opening = gate.udp({ family, channel, port, onMessage: (bytes) => heard.push(bytes[0] ?? -1), onError() {} })
  return { heard, opening }
}

test('both views have one port; each hears its own kind, and the ledger books it so', () =>
  simulated(undefined, async ({ gate, counts, say }) => {
    const dht = view(gate, 'dht')
    const utp = view(gate, 'pex')
    const [a, b] = await Promise.all([dht.opening, utp.opening])
    expect(a.local.port).toBe(b.local.port)
    for (const first of [0x64, 0x01, 0x11, 0x21, 0x31, 0x41]) await say([first, 1, 2], a.local.port)
    expect(dht.heard).toEqual([0x64])
    expect(utp.heard).toEqual([0x01, 0x11, 0x21, 0x31, 0x41])
    for (const noise of [[0x51], [0x02], [0x00], [0x65], [0xff, 1], []]) await say(noise, a.local.port)
    expect([dht.heard.length, utp.heard.length, counts.get('udp.dropped.unknown')]).toEqual([1, 5, 6])
    const { dht: krpc, pex } = gate.ledger.totals()
    expect([krpc.packetsIn, pex.packetsIn, pex.bytesIn]).toEqual([7, 5, 5 * (3 + 28)])
    expect(b.send(new Uint8Array(20), { address: B, port: 9_000 }, 'peer')).toBeUndefined()
    expect(gate.ledger.totals().pex).toMatchObject({ packetsOut: 1, bytesOut: 48 })
  }))

test('the last view, or hold, closes the socket; a closed view hears and sends nothing', () =>
  simulated(7_001, async ({ network, gate, host, counts, say }) => {
    const dht = view(gate, 'dht')
    const utp = view(gate, 'pex')
    const held = await gate.hold(4)
    const [a, b] = await Promise.all([dht.opening, utp.opening])
    expect(held.local.port).toBe(7_001)
    await Promise.all([b.close(), b.close()])
    await say([0x01], 7_001)
    expect([utp.heard, counts.get('udp.dropped.no-pex')]).toEqual([[], 1])
    b.send(new Uint8Array(20), { address: B, port: 9_000 }, 'peer')
    expect(network.stats.datagrams.get(`${B}:9000`)).toBeUndefined()
    await a.close()
    const taken = host.udp.open({ family: 4, port: 7_001, onMessage() {}, onError() {} })
    await expect(taken).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await held.close()
    await (await host.udp.open({ family: 4, port: 7_001, onMessage() {}, onError() {} })).close()
    const again = view(gate, 'pex')
    await again.opening
    await say([0x21], 7_001)
    expect(again.heard).toEqual([0x21])
  }))

test('both families get one port where they can', () =>
  simulated(undefined, async ({ gate, host }) => {
    const [six, four] = await Promise.all([gate.hold(6), view(gate, 'dht').opening])
    expect(six.local.port).toBe(four.local.port)
    expect(six.local.address).toBe('::')
    await Promise.all([six.close(), four.close()])
    const next = await gate.hold(4)
    const squatter = await host.udp.open({ family: 6, port: next.local.port, onMessage() {}, onError() {} })
    const other = await gate.hold(6)
    expect(other.local.port).not.toBe(next.local.port)
    await Promise.all([next.close(), other.close(), squatter.close()])
  }))

test('a port that was asked for is had, or the error; afterwards it can be tried again', () =>
  simulated(7_001, async ({ gate, host }) => {
    const squatter = await host.udp.open({ family: 4, port: 7_001, onMessage() {}, onError() {} })
    const failures = await Promise.allSettled([view(gate, 'dht').opening, view(gate, 'pex').opening, gate.hold(4)])
    expect(failures.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    await squatter.close()
    expect((await view(gate, 'dht').opening).local.port).toBe(7_001)
  }))

test('misuse is an error: a second view of a kind, another port', () =>
  simulated(7_001, async ({ gate }) => {
    await view(gate, 'dht', 4, 7_001).opening
    await expect(view(gate, 'dht').opening).rejects.toMatchObject({ code: 'BAD_OPTION' })
    await expect(view(gate, 'pex', 4, 7_002).opening).rejects.toMatchObject({ code: 'BAD_OPTION' })
    await view(gate, 'dht', 6).opening
  }))

test('other channels get sockets of their own; errors reach all views', () =>
  simulated(undefined, async ({ gate }) => {
    const errors: string[] = []
    const heard: Endpoint[] = []
    const onError = (who: string) => () => void errors.push(who)
    const onMessage = (_bytes: Uint8Array, from: Endpoint) => void heard.push(from)
    const dht = await gate.udp({ family: 4, channel: 'dht', onMessage, onError: onError('dht') })
    await gate.udp({ family: 4, channel: 'pex', onMessage, onError: onError('pex') })
    const tracker = await gate.udp({ family: 4, channel: 'tracker', onMessage, onError: onError('tracker') })
    expect(tracker.local.port).not.toBe(dht.local.port)
    // The simulated system reports a datagram of the wrong family.
    dht.send(new Uint8Array(1), { address: '2001:db8::9', port: 9_000 }, 'dht')
    await new Promise((resolve) => setTimeout(resolve, 10))
    expect(errors.sort()).toEqual(['dht', 'pex'])
  }))
