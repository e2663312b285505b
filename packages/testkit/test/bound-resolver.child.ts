/**
 * Asks a name server on loopback through the bound resolver and prints what came of it. In a process of its own: the
 * egress guard refuses every DNS query, whoever is asked; here the only server is the one given.
 */
import { createSocket } from 'node:dgram'
import { getEventListeners } from 'node:events'
import { deadline } from '@swarmatlas/core'
import { nodeClock, nodeResolver } from '@swarmatlas/core/node'

const [localAddress = ''] = process.argv.slice(2)
const askedFrom = new Set<string>()
const server = createSocket('udp4')
server.on('message', (query, from) => {
  askedFrom.add(from.address)
  const question = query.subarray(12, query.indexOf(0, 12) + 5)
  if (question.includes('silent')) return
  const header = Buffer.from([...query.subarray(0, 2), 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0])
  const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7])
  server.send(Buffer.concat([header, question, answer]), from.port, from.address)
})
await new Promise<void>((bound) => server.bind(0, '127.0.0.1', bound))

const servers = [`127.0.0.1:${server.address().port}`]
const { signal } = new AbortController()
const addresses = await nodeResolver({ localAddress, servers }).resolve('tracker.test', { signal })
using limit = deadline(nodeClock, 50)
const silent = await nodeResolver({ localAddress, servers })
  .resolve('silent.test', limit)
  .catch((error: Error) => error.message)
server.close()
const listeners = getEventListeners(signal, 'abort').length + getEventListeners(limit.signal, 'abort').length
process.stdout.write(JSON.stringify({ addresses, askedFrom: [...askedFrom], silent, listeners }))
