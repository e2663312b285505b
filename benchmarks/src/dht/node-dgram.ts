/**
 * The bare loop that Node's dgram allows: one prebuilt query, each reply sends it to the next node, nothing is parsed.
 * It finds nobody; it says what a query costs at least.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { endpointKey, parseEndpoint } from '@swarmatlas/core'
import { startMeasuring } from '../cost.ts'
import { type Outcome, resetCounters, type Task } from './contest.ts'

const QUERIES = 100_000
const IN_FLIGHT = 256
/** Without a reply for so long, lost ones are given up. */
const SILENCE_MS = 500
const RECEIVE_BUFFER_BYTES = 4_194_304

export async function nodeDgram(task: Task): Promise<Outcome> {
  const query = Buffer.concat([
    Buffer.from('d1:ad2:id20:aaaaaaaaaaaaaaaaaaaa9:info_hash20:'),
    Buffer.from(task.hashes[0] as string, 'hex'),
    Buffer.from('e1:q9:get_peers2:roi1e1:t4:aaaa1:y1:qe'),
  ])
  const nodes = task.bootstrap.flatMap((node) => parseEndpoint(endpointKey(node)) ?? [])
  const socket = createSocket(task.family === 4 ? 'udp4' : 'udp6')
  socket.bind(0)
  await once(socket, 'listening')
  socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES)
  await resetCounters(task)
  const cost = startMeasuring()
  let sent = 0
  const send = () => {
    const { address, port } = nodes[sent++ % nodes.length] as (typeof nodes)[number]
    socket.send(query, port, address)
  }
  await new Promise<void>((done) => {
    const silence = setTimeout(done, SILENCE_MS)
    const end = setTimeout(done, task.limitMs)
    let received = 0
    socket.on('message', () => {
      if (sent < QUERIES) send()
      if (++received % IN_FLIGHT === 0) silence.refresh()
      if (received < QUERIES) return
      clearTimeout(silence)
      clearTimeout(end)
      done()
    })
    for (let i = 0; i < IN_FLIGHT; i++) send()
  })
  const outcome = { cost: cost(), completed: 0, found: new Map() }
  socket.close()
  return outcome
}
