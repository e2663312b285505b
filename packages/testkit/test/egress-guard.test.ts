import { execFile } from 'node:child_process'
import dgram, { createSocket } from 'node:dgram'
import dns, { lookup } from 'node:dns'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import net, { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { allowEgress, failOnEgress, installEgressGuard, takeEgressRefusals } from '../src/egress-guard.ts'

const refusedHosts = () => takeEgressRefusals().map(({ kind, host }) => `${kind} ${host}`)

test('refuses a datagram to another machine, in each form of send', async () => {
  const socket = createSocket('udp4')
  const bytes = Buffer.from('ping')
  expect(() => socket.send(bytes, 6881, '192.0.2.1')).toThrow(/egress refused: udp to 192.0.2.1/)
  expect(() => socket.send(bytes, 6881, '192.0.2.2', () => {})).toThrow(/egress/)
  expect(() => socket.send(bytes, 0, 4, 6881, '192.0.2.3')).toThrow(/egress/)
  expect(() => socket.send([bytes], 6881, 'router.example')).toThrow(/egress/)
  expect(() => socket.send(bytes, 6881, '239.192.152.143')).toThrow(/egress/)
  expect(() => socket.connect(6881, '192.0.2.4')).toThrow(/egress/)
  socket.close()
  expect(refusedHosts()).toEqual([
    'udp 192.0.2.1',
    'udp 192.0.2.2',
    'udp 192.0.2.3',
    'udp router.example',
    'udp 239.192.152.143',
    'udp 192.0.2.4',
  ])
})

test('refuses a connection to another machine, in each form of connect', async () => {
  expect(() => connect(80, '192.0.2.1')).toThrow(/egress refused: tcp to 192.0.2.1/)
  expect(() => connect({ port: 80, host: '2001:db8::1' })).toThrow(/egress/)
  expect(() => new net.Socket().connect(80, 'tracker.example')).toThrow(/egress/)
  expect(() => connect({ port: 80, host: '::ffff:192.0.2.1' })).toThrow(/egress/)
  await expect(fetch('http://192.0.2.9/announce')).rejects.toThrow()
  await expect(
    (async () => {
      const request = http.get('http://192.0.2.10/')
      await once(request, 'response')
    })(),
  ).rejects.toThrow(/egress/)
  expect(refusedHosts()).toEqual([
    'tcp 192.0.2.1',
    'tcp 2001:db8::1',
    'tcp tracker.example',
    'tcp ::ffff:192.0.2.1',
    'tcp 192.0.2.9',
    'tcp 192.0.2.10',
  ])
})

test('refuses to ask for a name', async () => {
  expect(() => lookup('tracker.example', () => {})).toThrow(/egress refused: dns/)
  await expect(dns.promises.lookup('tracker.example')).rejects.toThrow(/egress/)
  await expect(new dns.promises.Resolver().resolve4('tracker.example')).rejects.toThrow(/egress/)
  expect(() => new dns.Resolver().resolve4('tracker.example', () => {})).toThrow(/egress/)
  await expect(dns.promises.resolve6('tracker.example')).rejects.toThrow(/egress/)
  expect(() => dns.reverse('192.0.2.1', () => {})).toThrow(/egress/)
  expect(takeEgressRefusals()).toHaveLength(6)
})

test('lets loopback through: IPv4, IPv6, mapped, by name, unix sockets', async () => {
  const received: string[] = []
  const receiver = dgram.createSocket('udp4', (bytes) => received.push(bytes.toString()))
  await new Promise<void>((bound) => receiver.bind(0, '127.0.0.1', bound))
  const { port } = receiver.address()
  const sender = createSocket('udp4')
  sender.send('a', port, '127.0.0.1')
  sender.send('b', port, 'localhost')
  sender.send('c', port)
  sender.send(Buffer.from('xdx'), 1, 1, port, '127.0.0.1')
  await expect.poll(() => [...received].sort()).toEqual(['a', 'b', 'c', 'd'])
  sender.close()
  receiver.close()

  const server = net.createServer((socket) => socket.end())
  await new Promise<void>((listening) => server.listen(0, '::', listening))
  const { port: tcpPort } = server.address() as net.AddressInfo
  for (const host of ['127.0.0.1', '::1', '::ffff:127.0.0.1', 'localhost']) {
    await once(connect({ host, port: tcpPort }).resume(), 'close')
  }
  await new Promise((closed) => server.close(closed))

  const folder = await mkdtemp(join(tmpdir(), 'swarmatlas-'))
  const unix = net.createServer((socket) => socket.end())
  await new Promise<void>((listening) => unix.listen(join(folder, 'socket'), listening))
  await once(connect(join(folder, 'socket')).resume(), 'close')
  await once(connect({ path: join(folder, 'socket') }).resume(), 'close')
  await new Promise((closed) => unix.close(closed))
  await rm(folder, { recursive: true })
  expect(takeEgressRefusals()).toEqual([])
})

test('allows a prefix until it is disposed', () => {
  const socket = createSocket('udp4')
  {
    using _ = allowEgress('127.0.0.0/8')
    using __ = allowEgress('203.0.113.0/30')
    expect(() =>
      connect({ host: '203.0.113.1', port: 9 })
        .on('error', () => {})
        .destroy(),
    ).not.toThrow()
    expect(() => socket.send('x', 9, '203.0.113.5')).toThrow(/egress/)
  }
  expect(() => connect({ host: '203.0.113.1', port: 9 })).toThrow(/egress/)
  expect(() => socket.send('x', 9, '127.0.0.1')).not.toThrow()
  socket.close()
  expect(refusedHosts()).toEqual(['udp 203.0.113.5', 'tcp 203.0.113.1'])
})

test('a swallowed refusal fails the test at its end, once', () => {
  const socket = createSocket('udp4')
  try {
    socket.send('x', 6881, '192.0.2.1')
  } catch {}
  socket.close()
  expect(failOnEgress).toThrow(/udp to 192.0.2.1[\s\S]*egress-guard.test.ts/)
  expect(failOnEgress).not.toThrow()
})

test('a second installation changes nothing', () => {
  const { connect } = net.Socket.prototype
  installEgressGuard()
  expect(net.Socket.prototype.connect).toBe(connect)
})

const guard = new URL('../src/egress-guard.ts', import.meta.url).href
const root = fileURLToPath(new URL('../../..', import.meta.url))

/** Runs node in the workspace; gives exit code and output. */
function node(...args: string[]): Promise<{ code: number; output: string }> {
  const { VITEST: _, ...env } = process.env
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: root, env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr })
    })
  })
}

test('under vitest, exactly the test that swallowed a refusal is reported as failed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'swarmatlas-'))
  try {
    const config = { test: { globals: true, include: ['*.test.js'], setupFiles: [fileURLToPath(guard)] } }
    await writeFile(join(folder, 'vitest.config.mjs'), `export default ${JSON.stringify(config)}`)
    await writeFile(
      join(folder, 'swallowed.test.js'),
      `import dgram from 'node:dgram'
       test('innocent', () => {})
       test('guilty', () => {
         const socket = dgram.createSocket('udp4')
         try { socket.send('x', 6881, '192.0.2.1') } catch {}
         socket.close()
       })`,
    )
    const { code, output } = await node('node_modules/vitest/vitest.mjs', 'run', '--reporter=json', '--root', folder)
    expect(code).toBe(1)
    const report = JSON.parse(output.slice(output.indexOf('{')))
    const byTitle = report.testResults[0].assertionResults.map((result: { title: string; status: string }) => [
      result.title,
      result.status,
    ])
    expect(byTitle).toEqual([
      ['innocent', 'passed'],
      ['guilty', 'failed'],
    ])
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('preloaded into a plain process, a swallowed refusal shows in the exit code', async () => {
  const code = `
    import net from 'node:net'
    try { net.connect(80, '192.0.2.1') } catch {}`
  const ran = await node('--import', 'tsx', '--import', guard, '--input-type=module', '-e', code)
  expect(ran.output).toContain('egress refused: tcp to 192.0.2.1')
  expect(ran.code).toBe(1)
})
