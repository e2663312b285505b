import { once } from 'node:events'
import { codeOf, endpointKey, type Host, type TcpStream, type UdpSocket } from '@swarmatlas/core'
import { expect, test } from 'vitest'
import { createSimNetwork, type SimNetwork, type SimNetworkOptions } from '../src/sim-network.ts'
import { type VirtualTime, withVirtualTime } from '../src/virtual-time.ts'

const never = new AbortController().signal
const A = '203.0.113.1'
const B = '198.51.100.2'

/** Two machines on a network, in virtual time. */
function simulated<T>(
  options: Partial<SimNetworkOptions>,
  body: (world: { network: SimNetwork; a: Host; b: Host; time: VirtualTime }) => Promise<T>,
): Promise<T> {
  return withVirtualTime({ seed: 1, limitMs: 600_000 }, async (time) => {
    const network = createSimNetwork({ seed: 1, ...options })
    return body({ network, a: network.host(A), b: network.host([B, '2001:db8::2']), time })
  })
}

/** Echoes each datagram. */
async function echo(host: Host, address: string | undefined, port: number): Promise<UdpSocket> {
  const socket = await host.udp.open({
    family: 4,
    address,
    port,
    onMessage: (bytes, from) => socket.send(bytes, from),
    onError() {},
  })
  return socket
}

async function collector(host: Host) {
  const received: string[] = []
  const socket = await host.udp.open({
    family: 4,
    onMessage: (bytes, from) => received.push(`${Buffer.from(bytes)} from ${endpointKey(from)}`),
    onError() {},
  })
  return { socket, received }
}

test('a datagram comes back after twice the delay of its pair, which stays the same', () =>
  simulated({ delayMs: [20, 200] }, async ({ a, b, time }) => {
    await echo(b, undefined, 6881)
    const { socket, received } = await collector(a)
    const trips: number[] = []
    for (let i = 0; i < 3; i++) {
      const sentMs = time.elapsedMs()
      socket.send(Buffer.from(`ping ${i}`), { address: B, port: 6881 })
      while (received.length === i) await new Promise((resolve) => setTimeout(resolve, 1))
      trips.push(time.elapsedMs() - sentMs)
    }
    expect(received).toEqual([`ping 0 from ${B}:6881`, `ping 1 from ${B}:6881`, `ping 2 from ${B}:6881`])
    expect(new Set(trips).size).toBe(1)
    expect(trips[0]).toBeGreaterThanOrEqual(40)
    expect(trips[0]).toBeLessThanOrEqual(402)
  }))

test('nobody there, wrong port, dead machine, closed socket: silence', () =>
  simulated({}, async ({ network, a, b }) => {
    const target = await echo(b, undefined, 6881)
    const { socket, received } = await collector(a)
    const say = async (address: string, port: number) => {
      socket.send(Buffer.from('x'), { address, port })
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      return received.length
    }
    expect(await say('192.0.2.77', 6881)).toBe(0)
    expect(await say(B, 6882)).toBe(0)
    expect(await say(B, 6881)).toBe(1)
    network.kill(B)
    expect(await say(B, 6881)).toBe(1)
    await target.close()
    expect(Object.fromEntries(network.stats.datagrams)).toMatchObject({ '192.0.2.77:6881': 1, [`${B}:6881`]: 2 })
    expect(network.stats.connects.size).toBe(0)
  }))

test('a closed socket hears nothing, not even what was on its way', () =>
  simulated({}, async ({ a, b }) => {
    await echo(b, undefined, 6881)
    const { socket, received } = await collector(a)
    socket.send(Buffer.from('x'), { address: B, port: 6881 })
    await socket.close()
    await socket.close()
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(received).toEqual([])
  }))

test('loses about the share of datagrams that it is told to', () =>
  simulated({ lossShare: 0.3 }, async ({ network, a, b }) => {
    const { socket, received } = await collector(b)
    const sender = await collector(a)
    for (let i = 0; i < 1_000; i++) sender.socket.send(Buffer.from('x'), { address: B, port: socket.local.port })
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(received.length + network.stats.lost).toBe(1_000)
    expect(network.stats.lost).toBeGreaterThan(240)
    expect(network.stats.lost).toBeLessThan(360)
  }))

test('a port is taken once, an address of another machine never, the families stay apart', () =>
  simulated({}, async ({ a, b }) => {
    const open = (host: Host, address: string, family: 4 | 6 = 4) =>
      host.udp.open({ family, address, port: 7, onMessage() {}, onError() {} }).then(
        () => 'open',
        (error) => codeOf(error),
      )
    expect(await open(a, A)).toBe('open')
    expect(await open(a, A)).toBe('EADDRINUSE')
    expect(await open(a, B)).toBe('EADDRNOTAVAIL')
    expect(await open(b, '2001:db8::2', 6)).toBe('open')
    expect(await open(a, '2001:db8::2', 6)).toBe('EADDRNOTAVAIL')
    await expect(a.udp.open({ family: 6, onMessage() {}, onError() {} })).rejects.toThrow(/ENETUNREACH/)
  }))

test('one machine may own a prefix, and answer from each of its addresses', () =>
  simulated({}, async ({ network, a }) => {
    const crowd = network.host('10.0.0.0/8')
    await echo(crowd, '10.1.2.3', 6881)
    await echo(crowd, '10.200.0.1', 6881)
    const { socket, received } = await collector(a)
    for (const address of ['10.1.2.3', '10.200.0.1', '10.9.9.9']) socket.send(Buffer.from('x'), { address, port: 6881 })
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(received.sort()).toEqual(['x from 10.1.2.3:6881', 'x from 10.200.0.1:6881'])
    const unbound = await crowd.udp.open({ family: 4, onMessage() {}, onError() {} })
    unbound.send(Buffer.from('y'), { address: A, port: socket.local.port })
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(received).toContain(`y from 10.0.0.1:${unbound.local.port}`)
  }))

/** A listener at B:6881 and a connection from A to it: both ends. */
async function connected(a: Host, b: Host): Promise<[near: TcpStream, far: TcpStream]> {
  const accepted = new Promise<TcpStream>((resolve) => {
    void b.tcp.listen({ address: '0.0.0.0', port: 6881, onConnection: resolve })
  })
  const near = await a.tcp.connect({ address: B, port: 6881 }, { signal: never })
  return [near, await accepted]
}

async function readAll(stream: TcpStream): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

test('TCP carries bytes both ways, in order, in segments, with backpressure; end ends both ends', () =>
  simulated({ segmentBytes: 1_000 }, async ({ network, a, b }) => {
    const [near, far] = await connected(a, b)
    const sent = Buffer.from(a.random.bytes(300_000))
    let largest = 0
    far.on('data', (chunk: Buffer) => {
      largest = Math.max(largest, chunk.length)
    })
    const closed = Promise.all([once(near, 'close'), once(far, 'close')])
    far.write('hello')
    const reply = readAll(near)
    const received = readAll(far)
    expect(near.write(sent)).toBe(false)
    near.end()
    expect((await received).equals(sent)).toBe(true)
    expect((await reply).toString()).toBe('hello')
    await closed
    expect(largest).toBe(1_000)
    expect([near.bytesWritten, near.bytesRead, far.bytesWritten, far.bytesRead]).toEqual([300_000, 5, 5, 300_000])
    expect(network.stats.connects.get(`${B}:6881`)).toBe(1)
    expect(network.stats.bytes.get(B)).toBe(300_000)
  }))

test('a writer waits for a reader that does not read', () =>
  simulated({}, async ({ a, b }) => {
    const [near, far] = await connected(a, b)
    let drained = false
    near.write(Buffer.alloc(1_000_000), () => {
      drained = true
    })
    await new Promise((resolve) => setTimeout(resolve, 5_000))
    expect(drained).toBe(false)
    far.resume()
    await new Promise((resolve) => setTimeout(resolve, 5_000))
    expect(drained).toBe(true)
    expect(far.bytesRead).toBe(1_000_000)
  }))

test('destroy closes both ends; who writes on gets ECONNRESET', () =>
  simulated({}, async ({ a, b }) => {
    const [near, far] = await connected(a, b)
    near.write('read before')
    await once(far, 'data')
    far.destroy()
    // More than the window holds: some of it is still to be sent when the answer to the first bytes comes.
    near.write(Buffer.alloc(200_000))
    const [error] = await once(near, 'error')
    expect(codeOf(error)).toBe('ECONNRESET')
    expect(near.destroyed).toBe(true)
  }))

test('an end that nobody reads from still notices that the other closed', () =>
  simulated({}, async ({ a, b }) => {
    const [near, far] = await connected(a, b)
    const closed = once(near, 'close')
    far.destroy()
    await closed
  }))

test('bytes left unread when an end is destroyed reset the other', () =>
  simulated({}, async ({ a, b }) => {
    const [near, far] = await connected(a, b)
    near.write(Buffer.alloc(60_000))
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    const failed = once(near, 'error')
    far.destroy()
    expect(codeOf((await failed)[0])).toBe('ECONNRESET')
  }))

test('nobody listens: refused; dead or no such machine: no answer until the caller gives up', () =>
  simulated({}, async ({ network, a, b, time }) => {
    const dial = async (address: string, afterMs?: number) => {
      const giveUp = new AbortController()
      if (afterMs !== undefined) setTimeout(() => giveUp.abort(new Error('gave up')), afterMs)
      const startMs = time.elapsedMs()
      const result = await a.tcp.connect({ address, port: 6881 }, { signal: giveUp.signal }).then(
        () => 'connected',
        (error) => codeOf(error) ?? error.message,
      )
      return [result, time.elapsedMs() - startMs] as const
    }
    expect((await dial(B))[0]).toBe('ECONNREFUSED')
    expect(await dial('192.0.2.77', 5_000)).toEqual(['gave up', 5_000])
    expect(await dial('192.0.2.77')).toEqual(['ETIMEDOUT', 127_000])
    const listener = await b.tcp.listen({ address: B, port: 6881, onConnection: (stream) => stream.resume() })
    expect((await dial(B))[0]).toBe('connected')
    await listener.close()
    await listener.close()
    expect((await dial(B))[0]).toBe('ECONNREFUSED')
    network.kill(B)
    expect(await dial(B, 5_000)).toEqual(['gave up', 5_000])
    await expect(
      a.tcp.connect({ address: B, port: 1 }, { signal: AbortSignal.abort(new Error('before')) }),
    ).rejects.toThrow('before')
  }))

test('closing the listener closes its connections; killing a machine leaves the other end hanging', () =>
  simulated({}, async ({ network, a, b }) => {
    const listener = await b.tcp.listen({ address: B, port: 7, onConnection: (stream) => stream.resume() })
    const first = await a.tcp.connect({ address: B, port: 7 }, { signal: never })
    const closed = once(first.resume(), 'close')
    await listener.close()
    await closed

    const [second] = await connected(a, b)
    network.kill(B)
    let ended = false
    second.resume().on('close', () => {
      ended = true
    })
    second.write('anybody?')
    await new Promise((resolve) => setTimeout(resolve, 60_000))
    expect(ended).toBe(false)
    second.destroy()
  }))

test('names resolve from the table, literals to themselves, others not at all', () =>
  simulated({}, async ({ network, a }) => {
    network.names.set('tracker.example', [B, '2001:db8::2'])
    expect(await a.resolver.resolve('tracker.example', { signal: never })).toEqual([B, '2001:db8::2'])
    expect(await a.resolver.resolve('[2001:DB8::2]', { signal: never })).toEqual(['2001:db8::2'])
    await expect(a.resolver.resolve('nobody.example', { signal: never })).rejects.toThrow(/ENOTFOUND/)
    await expect(a.resolver.resolve('tracker.example', { signal: AbortSignal.abort() })).rejects.toThrow()
  }))

test('the same seed gives the same history, another seed another', async () => {
  const history = (seed: number) =>
    withVirtualTime({ seed }, async (time) => {
      const trace: string[] = []
      const network = createSimNetwork({ seed, lossShare: 0.2, delayMs: [1, 500] })
      const crowd = network.host('10.0.0.0/8')
      const a = network.host(A)
      for (let i = 0; i < 20; i++) await echo(crowd, `10.0.0.${i + 1}`, 6881)
      const socket = await a.udp.open({
        family: 4,
        onMessage: (bytes, from) =>
          trace.push(`${time.elapsedMs()} ${Buffer.from(bytes).toString('hex')} ${endpointKey(from)}`),
        onError() {},
      })
      for (let i = 0; i < 200; i++) {
        const address = `10.0.0.${1 + Math.floor(Math.random() * 20)}`
        socket.send(a.random.bytes(4), { address, port: 6881 })
        await new Promise((resolve) => setTimeout(resolve, a.random.float() * 50))
      }
      await crowd.tcp.listen({ address: '10.0.0.1', port: 80, onConnection: (stream) => stream.pipe(stream) })
      const stream = await a.tcp.connect({ address: '10.0.0.1', port: 80 }, { signal: never })
      stream.on('data', (chunk) => trace.push(`${time.elapsedMs()} tcp ${chunk}`))
      stream.write('x')
      await new Promise((resolve) => setTimeout(resolve, 5_000))
      stream.destroy()
      return trace
    })
  const first = await history(42)
  expect(first.length).toBeGreaterThan(80)
  expect(await history(42)).toEqual(first)
  expect(await history(43)).not.toEqual(first)
})
