/** A peer that nobody names and nobody can dial calls in while the command listens. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { encodeBencode, infoHashBytes } from '@swarmatlas/core'
import type { SimTorrent } from '@swarmatlas/sim-swarm'
import { describe, expect } from 'vitest'
import { checkedSwarm } from './contract.ts'
import { test } from './fixtures.ts'

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

function hello({ hashes }: SimTorrent): Uint8Array {
  const said = encodeBencode({ m: {}, v: 'Hidden 1.0', p: 51_413 })
  const length = Buffer.alloc(4)
  length.writeUInt32BE(2 + said.length)
  return Buffer.concat([
    Buffer.from('\x13BitTorrent protocol\0\0\0\0\0\x10\0\x04', 'latin1'),
    infoHashBytes(hashes.v1 as NonNullable<typeof hashes.v1>),
    Buffer.from('-TR4060-callscallsca'),
    ...[length, Uint8Array.of(20, 0), said],
    Uint8Array.of(0, 0, 0, 1, 15),
  ])
}

/** Tries until somebody listens, as a client that a tracker sent does. */
async function callUntilAnswered(port: number, torrent: SimTorrent, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const socket: Socket = connect({ host: '127.0.0.1', port, localAddress: '127.0.0.9' }, () => {
      socket.write(hello(torrent))
    })
    socket.on('error', () => {})
    const answered = await Promise.race([
      once(socket, 'data').catch(() => false),
      once(socket, 'close').then(() => false),
    ])
    if (answered) return void (await once(socket, 'close'))
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

describe.concurrent('--listen', { timeout: 60_000 }, () => {
  test('reports who called, and that we listened', async ({ cli, world }) => {
    const port = await freePort()
    const done = new AbortController()
    const calling = callUntilAnswered(port, world.single, done.signal)
    const store = join(cli.folder, 'store')
    const options = ['--listen', String(port), '--bind', '127.0.0.1', '--deadline', '10s', '--store', store, '--json']
    const { code, stdout, stderr } = await cli.run(['lookup', world.single.magnet, ...world.options, ...options])
    done.abort()
    await calling
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const report = checkedSwarm(JSON.parse(stdout))
    const caller = report.peers.find((peer: { address: string }) => peer.address === '127.0.0.9')
    expect(caller).toMatchObject({
      port: 51_413,
      inbound: true,
      channels: ['inbound'],
      client: 'Hidden 1.0',
      role: 'leech',
    })
    expect(report.peers).toHaveLength(2)
    const rounds = await cli.run(['rounds', '--store', store, '--json'])
    expect(rounds.stdout).toMatch(/"vantage": ?"[^"]+, listening"/)
  })

  test('a port that another has ends with 3 and a hint', async ({ cli, world }) => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as { port: number }
    const options = ['--listen', String(port), '--bind', '127.0.0.1', ...world.options]
    const { code, stderr } = await cli.run(['lookup', world.single.magnet, ...options])
    other.close()
    expect(code).toBe(3)
    expect(stderr).toContain(`cannot listen on port ${port}`)
    expect(stderr).toContain('--listen takes any other')
  })
})
