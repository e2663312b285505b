/** What a round leaves in the store is what it says. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endpointKey, silentLogger } from '@swarmatlas/core'
import { nodeClock, nodeHost } from '@swarmatlas/core/node'
import { openPeerGraph, type PeerRecord, type RoundSummary } from '@swarmatlas/peer-graph'
import { demoSwarmOptions, type SimTorrent, startSimSwarm } from '@swarmatlas/sim-swarm'
import { leakCheck } from '@swarmatlas/testkit'
import { expect, test } from 'vitest'
import { openRig } from './rig.ts'

test('the peers of the store are the peers of the round, and the round is sealed', async () => {
  await using _ = leakCheck()
  const dir = await mkdtemp(join(tmpdir(), 'mapper-'))
  try {
    await using sim = await startSimSwarm({ host: nodeHost() }, demoSwarmOptions())
    const torrent = sim.torrents[0] as SimTorrent
    await using graph = await openPeerGraph({ clock: nodeClock, logger: silentLogger }, { dir, create: true })
    await using rig = await openRig(sim)
    const store = await graph.startRound({ atMs: nodeClock.now(), vantage: 'here', command: 'test' })
    const { report, result } = await rig.map([torrent.magnet], { store })
    expect(rig.complaints).toEqual([])

    const rounds: RoundSummary[] = []
    for await (const round of graph.rounds()) rounds.push(round)
    expect(rounds).toMatchObject([
      { number: result.number, reason: 'nothing-new', endedMs: result.endedMs, peers: torrent.peers.length, swarms: 1 },
    ])
    const stored: PeerRecord[] = []
    for await (const peer of graph.peers({ round: result.number })) stored.push(peer)
    const facts = (peer: {
      channels: readonly string[]
      tellers: number
      evidence: string
      role: unknown
      client: unknown
      progress: unknown
    }) => ({ ...peer, channels: [...peer.channels].sort() })
    const inStore = stored.map(({ endpoint, channels, tellers, evidence, lastAnswer }) => [
      endpointKey(endpoint),
      facts({
        channels,
        tellers,
        evidence,
        role: lastAnswer?.role ?? null,
        client: lastAnswer?.client ?? null,
        progress: lastAnswer?.progress ?? null,
      }),
    ])
    const inReport = report.peers.map((peer) => {
      const { channels, tellers, evidence, role, client, progress } = peer
      return [endpointKey(peer), facts({ channels, tellers, evidence, role, client, progress })]
    })
    expect(new Map(inStore as [string, unknown][])).toEqual(new Map(inReport as [string, unknown][]))
    const details = await graph.torrent(result.swarms[0]?.id as NonNullable<(typeof result.swarms)[0]>['id'])
    expect(details?.metadata?.name).toBe(torrent.spec.name)
    expect(details?.trackers).toMatchObject([{ outcome: 'ok' }, { outcome: 'ok' }])
  } finally {
    await rm(dir, { recursive: true })
  }
})
