/** Floods of callers: bounded, and others still get in. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { limits, profiles } from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { leakCheck } from '@swarmatlas/testkit'
import { describe, expect, test } from 'vitest'
import { inMemory, introduce, listenOn, pause } from './support/listening.ts'

const isSettled = (socket: Socket) => !socket.connecting
const isOpen = (socket: Socket) => !socket.destroyed && !socket.connecting

async function until(met: () => boolean): Promise<void> {
  for (let tries = 0; !met(); tries++) {
    if (tries > 1_000) throw new Error('it did not come to pass')
    await pause(10)
  }
}

describe('floods', () => {
  test('one address holds so many connections as its ports may be dialled, and others still get in', () =>
    inMemory({ profile: profiles.server }, async ({ us, dial }) => {
      await Promise.all(Array.from({ length: 100 }, () => dial()))
      await pause(100)
      expect(us.counts.get('inbound.accepted.tcp')).toBe(profiles.server.portsPerAddress)
      introduce(await dial('198.51.100.7'))
      await pause(20_000)
      expect(us.visits).toMatchObject([{ peer: { address: '198.51.100.7' } }])
      // Their places are free again.
      introduce(await dial())
      await pause(20_000)
      expect(us.visits).toHaveLength(2)
    }))

  test('a second takes limits.inboundPerSecond, and the next as many again', () =>
    inMemory({}, async ({ us, dial }) => {
      await Promise.all(Array.from({ length: 300 }, () => dial()))
      await pause(100)
      expect(us.counts.get('inbound.refused.rate')).toBe(300 - limits.inboundPerSecond)
      await pause(6_000)
      introduce(await dial())
      await pause(20_000)
      expect(us.visits).toHaveLength(1)
    }))

  test('2,000 connections on loopback: bounded, and an honest peer of another address is heard', async () => {
    await using _ = leakCheck()
    await using us = await listenOn(nodeHost(), { profile: profiles.server, port: 0 })
    const to = { host: '127.0.0.1', port: us.listener.port }
    const sockets: Socket[] = []
    // In waves that the system's backlog has place for.
    for (let wave = 0; wave < 10; wave++) {
      for (let one = 0; one < 200; one++) {
        const socket = connect({ ...to, localAddress: '127.0.0.5' })
        sockets.push(socket.on('error', () => {}).on('data', () => {}))
      }
      await until(() => sockets.every(isSettled) && sockets.filter(isOpen).length <= profiles.server.portsPerAddress)
    }
    expect(us.counts.get('inbound.accepted.tcp')).toBe(profiles.server.portsPerAddress)
    await pause(1_000)
    const honest = connect({ ...to, localAddress: '127.0.0.6' })
    introduce(honest)
    await until(() => us.events.some(({ type }) => type === 'observation'))
    for (const socket of [...sockets, honest]) socket.destroy()
    await until(() => us.visits.length === 1)
    expect(us.visits).toMatchObject([{ handshaken: true, peer: { address: '127.0.0.6', port: 51_413 } }])
  })

  test('ulimit -n 256: 600 connections do not end the process, which hears the next peer', async () => {
    const child = fileURLToPath(new URL('./support/listening.child.ts', import.meta.url))
    const command = 'ulimit -n 256; exec "$0" --import tsx --conditions=@swarmatlas/source "$1"'
    const us = spawn('bash', ['-c', command, process.execPath, child], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      const said: string[] = []
      us.stdout.on('data', (text: Buffer) => said.push(...text.toString().trim().split('\n')))
      await until(() => said.length > 0)
      const port = Number(said[0])
      const flood = Array.from({ length: 600 }, () => connect({ host: '127.0.0.1', port }))
      for (const socket of flood) socket.on('error', () => {}).on('data', () => {})
      await until(() => flood.every(isSettled))
      expect(us.exitCode).toBe(null)
      for (const socket of flood) socket.destroy()
      await pause(1_100)
      const honest = connect({ host: '127.0.0.1', port })
      introduce(honest)
      await until(() => said.includes('inbound 127.0.0.1:51413'))
      honest.destroy()
    } finally {
      us.kill()
      if (us.exitCode === null) await once(us, 'exit')
    }
  })
})
