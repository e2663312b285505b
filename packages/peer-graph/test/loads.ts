/** Loads for tests: seeded facts of some rounds, and all that a store answers about them. */
import type { Endpoint, Place } from '@swarmatlas/core'
import type { PeerGraph, RoundWriter } from '../src/index.ts'
import { A, answered, B, byDht, byPex, byTracker, end, record, round, startMs, visitTo } from './facts-of.ts'

/** A seeded stream of numbers (mulberry32). */
export function seeded(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

export const peerAt = (i: number): string => `203.0.${113 + (i >> 8)}.${i & 255}:${6881 + (i % 7)}`
export const tellerAt = (i: number): string => `198.51.${i}.1:51413`

export function placeOf({ address }: Endpoint): Place {
  const last = Number(address.split('.').at(-1) ?? 0)
  const country = last % 2 === 0 ? 'DE' : 'FR'
  const rest = { region: null, lat: 50, lon: 8, radiusKm: 20, asName: null }
  return { country, city: `city ${last % 3}`, asn: 64_500 + (last % 4), ...rest }
}

/** Facts of one round, in `groups` flushed groups. */
export async function writeFacts(writer: RoundWriter, seed: number, count: number, groups = 3): Promise<void> {
  const next = seeded(seed)
  writer.torrent(record())
  for (let group = 0; group < groups; group++) {
    for (let i = 0; i < count / groups; i++) {
      const swarm = next(4) === 0 ? B : A
      const atMs = startMs + seed * 7_200_000 + next(40) * 997
      const [peer, teller] = [peerAt(next(300)), tellerAt(next(20))]
      const kind = next(10)
      if (kind < 6)
        writer.observation(swarm, byPex(teller, peer, { swarm, atMs, flags: kind === 0 ? ['dropped'] : [] }))
      else if (kind < 8) writer.observation(swarm, byDht(teller, peer, { swarm, atMs }))
      else if (kind < 9) writer.observation(swarm, byTracker('udp://t.example:1', peer, { swarm, atMs }))
      else
        writer.visit(
          swarm,
          visitTo(peer, { swarm, atMs: atMs + i, ...(next(2) ? { ...answered, client: 'x 1' } : {}) }),
        )
    }
    await writer.flush()
  }
  writer.tracker(A, { url: 'udp://t.example:1', outcome: 'ok', peers: 3 })
}

export async function writeRounds(graph: PeerGraph, rounds: number, count: number): Promise<void> {
  for (let seed = 1; seed <= rounds; seed++) {
    const atMs = startMs + seed * 7_200_000
    const writer = await graph.startRound({ ...round, atMs })
    await writeFacts(writer, seed, count)
    await writer.seal({ ...end, atMs: atMs + 60_000, placeOf })
  }
}

async function sorted(source: AsyncIterable<unknown>): Promise<string[]> {
  const texts: string[] = []
  for await (const item of source) texts.push(JSON.stringify(item))
  return texts.sort()
}

export type Answers = Record<'rounds' | 'swarms' | 'peers' | 'edges' | 'latest' | 'series' | 'trackers', string[]>

/** All that a store says, without an order. */
export async function answersOf(graph: PeerGraph): Promise<Answers> {
  return {
    rounds: await sorted(graph.rounds()),
    swarms: await sorted(graph.swarms()),
    peers: await sorted(graph.peers({ expired: true })),
    edges: await sorted(graph.edges({ expired: true })),
    latest: await sorted(graph.peers({ round: 'latest', expired: true })),
    series: [...(await sorted(graph.series(A))), ...(await sorted(graph.series(B)))],
    trackers: [JSON.stringify(await graph.torrent(A))],
  }
}
