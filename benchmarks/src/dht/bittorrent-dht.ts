/** bittorrent-dht as it comes. It is told of nodes on loopback alone, and the egress guard holds it there. */
import DHT from 'bittorrent-dht'
import { startMeasuring } from '../cost.ts'
import { inTurns, type Outcome, resetCounters, type Task } from './contest.ts'

/** It asks each node once a lookup, and has no deeper way: several lookups make a thorough one. */
const PASSES = { quick: 1, thorough: 3 }

export async function bittorrentDht(task: Task): Promise<Outcome> {
  const dht = new DHT({ bootstrap: task.bootstrap.map(({ address, port }) => `${address}:${port}`) })
  await new Promise<void>((ready) => dht.once('ready', ready))
  const found = new Map(task.hashes.map((hash) => [hash, new Set<string>()]))
  dht.on('peer', (peer: { host: string; port: number }, hash: Uint8Array) => {
    found.get(Buffer.from(hash).toString('hex'))?.add(`${peer.host}:${peer.port}`)
  })
  await resetCounters(task)
  const cost = startMeasuring()
  const signal = AbortSignal.timeout(task.limitMs)
  const completed = await inTurns(task, signal, async (hash) => {
    for (let pass = 0; pass < PASSES[task.depth] && !signal.aborted; pass++) {
      await new Promise<void>((done) => dht.lookup(Buffer.from(hash, 'hex'), () => done()))
    }
  })
  const outcome = { cost: cost(), completed, found }
  await new Promise<void>((done) => dht.destroy(done))
  return outcome
}
