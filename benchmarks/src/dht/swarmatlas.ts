/** Our crawler, under the lab profile. */
import { createAddressPolicy, createGate, endpointKey, type InfoHash, profiles, silentLogger } from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { createDhtCrawler } from '@swarmatlas/dht-crawler'
import { startMeasuring } from '../cost.ts'
import { inTurns, type Outcome, resetCounters, type Task } from './contest.ts'

export async function swarmatlas(task: Task): Promise<Outcome> {
  const host = nodeHost()
  const { clock, random } = host
  const meter = { count() {} }
  const policy = createAddressPolicy({ clock }, { profile: profiles.lab, allowPrivate: true })
  const gate = createGate({ host, policy, meter })
  await using crawler = await createDhtCrawler(
    { gate, clock, random, logger: silentLogger, meter },
    {
      bootstrap: task.bootstrap.map(({ address, port }) => ({ host: address, port })),
      concurrency: profiles.lab.dhtConcurrency,
    },
  )
  await crawler.bootstrap({ signal: AbortSignal.timeout(task.limitMs) })
  await resetCounters(task)
  const cost = startMeasuring()
  const signal = AbortSignal.timeout(task.limitMs)
  const found = new Map(task.hashes.map((hash) => [hash, new Set<string>()]))
  const completed = await inTurns(task, signal, async (hash) => {
    const peers = found.get(hash)
    const options = { signal, depth: task.depth }
    for await (const { peer } of crawler.getPeers(hash as InfoHash, options)) peers?.add(endpointKey(peer))
  })
  return { cost: cost(), completed, found }
}
