import { execFileSync } from 'node:child_process'
import { getEventListeners, once } from 'node:events'
import { createServer, connect as netConnect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Endpoint, TcpStream } from '@swarmatlas/core'
import { nodeClock, nodeHost, nodeRandom, nodeResolver, nodeTcp, nodeUdp } from '@swarmatlas/core/node'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { leakCheck } from '../src/leak-check.ts'

const hasV6 = Object.values(networkInterfaces())
  .flat()
  .some((each) => each?.address === '::1')
const loopbacks = [[4, '127.0.0.1'] as const, ...(hasV6 ? [[6, '::1'] as const] : [])]
const running = () => new AbortController().signal
const ignore = () => {}

let leaks: AsyncDisposable
beforeEach(() => {
  leaks = leakCheck()
})
afterEach(() => leaks[Symbol.asyncDispose]())

describe('UDP', () => {
  it.each(loopbacks)('v%i: an echo comes back from where it was sent', async (family, address) => {
    const echo = await nodeUdp.open({
      family,
      address,
      onMessage: (bytes, from) => echo.send(bytes, from),
      onError: ignore,
    })
    let heard: (message: { text: string; from: Endpoint }) => void = ignore
    const answer = new Promise<{ text: string; from: Endpoint }>((resolve) => {
      heard = resolve
    })
    const asker = await nodeUdp.open({
      family,
      address,
      receiveBufferBytes: 65_536,
      onMessage: (bytes, from) => heard({ text: Buffer.from(bytes).toString(), from }),
      onError: ignore,
    })
    asker.send(Buffer.from('hello'), echo.local)
    expect(await answer).toEqual({ text: 'hello', from: echo.local })
    expect(echo.local.address).toBe(address)
    expect(asker.receiveBufferBytes).toBeGreaterThan(0)
    await Promise.all([asker.close(), echo.close()])
  })

  it('closes once, however often it is told to, and is silent afterwards', async () => {
    const errors: Error[] = []
    const socket = await nodeUdp.open({
      family: 4,
      address: '127.0.0.1',
      onMessage: ignore,
      onError: (error) => errors.push(error),
    })
    const { local } = socket
    socket.send(Buffer.from('x'), local)
    await Promise.all([socket.close(), socket.close()])
    await socket.close()
    socket.send(Buffer.from('x'), local)
    // The port is free again.
    const next = await nodeUdp.open({
      family: 4,
      address: '127.0.0.1',
      port: local.port,
      onMessage: ignore,
      onError: ignore,
    })
    await next.close()
    expect(errors).toEqual([])
  })

  it('rejects where it cannot bind, and leaves no handle behind', async () => {
    const socket = await nodeUdp.open({ family: 4, address: '127.0.0.1', onMessage: ignore, onError: ignore })
    const again = {
      family: 4,
      address: '127.0.0.1',
      port: socket.local.port,
      onMessage: ignore,
      onError: ignore,
    } as const
    await expect(nodeUdp.open(again)).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await socket.close()
  })

  it('a receive buffer that the system refuses leaves the socket usable', async () => {
    const socket = await nodeUdp.open({
      family: 4,
      address: '127.0.0.1',
      receiveBufferBytes: 2 ** 40,
      onMessage: ignore,
      onError: ignore,
    })
    expect(socket.receiveBufferBytes).toBeGreaterThan(0)
    await socket.close()
  })

  it('reports a datagram that cannot be sent', async () => {
    let report: (error: Error) => void = ignore
    const reported = new Promise<Error>((resolve) => {
      report = resolve
    })
    const socket = await nodeUdp.open({ family: 4, address: '127.0.0.1', onMessage: ignore, onError: report })
    socket.send(new Uint8Array(70_000), socket.local)
    expect(await reported).toMatchObject({ code: 'EMSGSIZE' })
    await socket.close()
  })
})

describe('TCP', () => {
  it.each(loopbacks)('v%i: connects, carries bytes and counts them', async (_, address) => {
    const accepted: Endpoint[] = []
    const listener = await nodeTcp.listen({
      address,
      port: 0,
      onConnection(stream, from) {
        accepted.push(from)
        stream.pipe(stream)
      },
    })
    const stream = await nodeTcp.connect(listener.local, { signal: running() })
    stream.write('hello')
    const [echoed] = await once(stream, 'data')
    expect(Buffer.from(echoed).toString()).toBe('hello')
    expect([stream.bytesRead, stream.bytesWritten]).toEqual([5, 5])
    expect(accepted.map((from) => from.address)).toEqual([address])
    await Promise.all([listener.close(), listener.close()])
    stream.destroy()
  })

  it('a closed port is refused', async () => {
    const listener = await nodeTcp.listen({ address: '127.0.0.1', port: 0, onConnection: ignore })
    const { local } = listener
    await listener.close()
    await expect(nodeTcp.connect(local, { signal: running() })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('leaves from the local address that it is given', async () => {
    let tell: (from: Endpoint) => void = ignore
    const from = new Promise<Endpoint>((resolve) => {
      tell = resolve
    })
    const listener = await nodeTcp.listen({ address: '127.0.0.1', port: 0, onConnection: (_, source) => tell(source) })
    const stream = await nodeTcp.connect(listener.local, { localAddress: '127.0.0.1', signal: running() })
    expect((await from).address).toBe('127.0.0.1')
    stream.destroy()
    await listener.close()
  })

  it('an abort while connecting rejects with its reason and leaves nothing', async () => {
    // A listener whose queue is full never answers a SYN; on any system an abort in the same tick is early enough.
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const controller = new AbortController()
    const to = { address: '127.0.0.1', port: (server.address() as { port: number }).port }
    const connecting = nodeTcp.connect(to, { signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(connecting).rejects.toThrow('enough')
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
    await expect(nodeTcp.connect(to, { signal: controller.signal })).rejects.toThrow('enough')
    await new Promise((closed) => server.close(closed))
  })

  it('an error between connecting and the first listener does not end the process', async () => {
    const listener = await nodeTcp.listen({ address: '127.0.0.1', port: 0, onConnection: ignore })
    const { signal } = new AbortController()
    const stream: TcpStream = await nodeTcp.connect(listener.local, { signal })
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
    stream.destroy(new Error('broken'))
    await new Promise((closed) => stream.once('close', closed))
    await listener.close()
  })

  it('closing a listener ends what it accepted', async () => {
    const listener = await nodeTcp.listen({ address: '127.0.0.1', port: 0, onConnection: ignore })
    const client = netConnect(listener.local.port, '127.0.0.1')
    client.on('error', ignore)
    await once(client, 'connect')
    await listener.close()
    client.resume()
    if (!client.closed) await once(client, 'close')
  })

  it('rejects where it cannot listen', async () => {
    const listener = await nodeTcp.listen({ address: '127.0.0.1', port: 0, onConnection: ignore })
    const again = { address: '127.0.0.1', port: listener.local.port, onConnection: ignore }
    await expect(nodeTcp.listen(again)).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await listener.close()
  })
})

describe('names', () => {
  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['[::1]', '::1'],
    ['2001:DB8::1', '2001:db8::1'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
  ])('the literal %s is itself, bound or not', async (host, address) => {
    expect(await nodeResolver().resolve(host, { signal: running() })).toEqual([address])
    expect(await nodeResolver({ localAddress: '127.0.0.1' }).resolve(host, { signal: running() })).toEqual([address])
  })

  it('localhost is a loopback address, and the signal is left alone', async () => {
    const { signal } = new AbortController()
    for (let i = 0; i < 20; i++) {
      for (const address of await nodeHost().resolver.resolve('localhost', { signal })) {
        expect(['127.0.0.1', '::1']).toContain(address)
      }
    }
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })

  it('an aborted signal rejects with its reason', async () => {
    const signal = AbortSignal.abort(new Error('before'))
    await expect(nodeResolver().resolve('localhost', { signal })).rejects.toThrow('before')
  })

  describe('bound', () => {
    it('a name of the hosts file needs no name server', async () => {
      const { signal } = new AbortController()
      const resolver = nodeResolver({ localAddress: '127.0.0.1', servers: [] })
      expect(await resolver.resolve('localhost', { signal })).toEqual(['127.0.0.1'])
    })

    it('asks from the address it was given, and ends when the signal aborts', () => {
      // All of 127.0.0.0/8 is local on Linux alone.
      const localAddress = process.platform === 'linux' ? '127.0.0.3' : '127.0.0.1'
      const child = fileURLToPath(new URL('./bound-resolver.child.ts', import.meta.url))
      const node = ['--import', 'tsx', '--conditions=@swarmatlas/source', child, localAddress]
      expect(JSON.parse(execFileSync(process.execPath, node, { encoding: 'utf8' }))).toEqual({
        addresses: ['192.0.2.7'],
        askedFrom: [localAddress],
        silent: 'over after 50 ms',
        listeners: 0,
      })
    })

    it('asks no name server of the other family: its query would leave from another address', async () => {
      const resolve = (localAddress: string, servers: string[]) =>
        nodeResolver({ localAddress, servers }).resolve('tracker.test', { signal: running() })
      await expect(resolve('::1', ['127.0.0.1', '127.0.0.1:53'])).rejects.toThrow('no IPv6 name server')
      await expect(resolve('127.0.0.1', ['::1', '[::1]:53'])).rejects.toThrow('no IPv4 name server')
    })
  })
})

describe('clock and randomness', () => {
  it('a timer fires once; a cancelled one never, also when cancelled twice or late', async () => {
    const fired: string[] = []
    const cancelled = nodeClock.timer(1, () => fired.push('cancelled'))
    cancelled.cancel()
    cancelled.cancel()
    await new Promise<void>((resolve) => {
      const timer = nodeClock.timer(5, () => {
        fired.push('kept')
        timer.cancel()
        resolve()
      })
    })
    expect(fired).toEqual(['kept'])
  })

  it('a delay beyond 24.8 days does not fire at once', async () => {
    let fired = false
    const timer = nodeClock.timer(2 ** 40, () => {
      fired = true
    })
    await new Promise<void>((resolve) => void nodeClock.timer(10, resolve))
    timer.cancel()
    expect(fired).toBe(false)
  })

  it('gives as many random bytes as asked for', () => {
    expect(nodeRandom.bytes(20)).toHaveLength(20)
    expect(nodeRandom.bytes(20)).not.toEqual(nodeRandom.bytes(20))
    expect(nodeRandom.float()).toBeLessThan(1)
  })
})
