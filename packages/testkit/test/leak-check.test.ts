import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { leakCheck } from '../src/leak-check.ts'

test('passes when all that was opened is closed', async () => {
  await using _ = leakCheck()
  const server = createServer().listen(0, '127.0.0.1')
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await new Promise((resolve) => setTimeout(resolve, 10))
  server.close()
  socket.close()
})

test('names a socket, a server and a timer that were left', async () => {
  const check = leakCheck()
  const server = createServer().listen(0, '127.0.0.1')
  const socket = createSocket('udp4')
  await new Promise<void>((bound) => socket.bind(0, '127.0.0.1', bound))
  const timer = setInterval(() => {}, 60_000)
  const error = await check[Symbol.asyncDispose]().then(
    () => undefined,
    (error: Error) => error,
  )
  clearInterval(timer)
  socket.close()
  server.close()
  expect(error?.message).toMatch(/left behind/)
  for (const kind of ['TCPSERVERWRAP', 'UDPWRAP', 'Timeout']) expect(error?.message).toContain(`${kind}, opened\n`)
  expect(error?.message).toMatch(/UDPWRAP, opened\n.*leak-check.test.ts/)
})

test('an unreferenced timer is no leak, and what was open before is not blamed', async () => {
  const before = setInterval(() => {}, 60_000)
  let after: NodeJS.Timeout | undefined
  {
    await using _ = leakCheck()
    after = setInterval(() => {}, 60_000).unref()
  }
  clearInterval(before)
  clearInterval(after)
})

test('waits for what closes late', async () => {
  await using _ = leakCheck()
  setTimeout(() => {}, 100)
})
