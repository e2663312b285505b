/** The command against clients that other people wrote: Transmission and aria2, each in a network namespace of its own. */
import { endpointKey } from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { startSimSwarm } from '@swarmatlas/sim-swarm'
import {
  getPeers,
  type RealClient,
  type RealClients,
  type RealTorrent,
  realClientsAvailable,
  startRealClients,
} from '@swarmatlas/testkit'
import { afterAll, beforeAll, describe, expect, vi } from 'vitest'
import type { Ended } from './cli.ts'
import { checkedSwarm } from './contract.ts'
import { test } from './fixtures.ts'

const available = realClientsAvailable()
const TIMEOUT_MS = 120_000
const NAMES = { transmission: /^Transmission [34]\./, aria2: /^aria2\/?\s?1\./i }

describe.skipIf(!available.ok)(
  `real clients${available.ok ? '' : ` (skipped: ${available.why})`}`,
  { timeout: TIMEOUT_MS },
  () => {
    let lab: RealClients
    beforeAll(async () => {
      lab = await startRealClients({
        openDht: (address) => startSimSwarm({ host: nodeHost() }, { address, dhtNodes: 12, torrents: [], seed: 1 }),
        torrents: [
          {
            name: '東京の夜景 写真集',
            files: [
              { path: '写真/新宿.jpg', bytes: 70_001 },
              { path: 'Zürich/Straße.txt', bytes: 5 },
              { path: '서울/밤.bin', bytes: 40_000 },
            ],
          },
        ],
      })
    }, TIMEOUT_MS)
    afterAll(() => lab?.[Symbol.asyncDispose]())

    function expectTruth(
      { code, stdout, stderr }: Ended,
      torrent: RealTorrent,
      clients: readonly RealClient[],
      channel: string,
    ): void {
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      const report = checkedSwarm(JSON.parse(stdout))
      expect(report.metadata).toMatchObject({ name: '東京の夜景 写真集', totalBytes: 110_006, pieceLength: 16_384 })
      expect(report.metadata.files).toEqual(
        torrent.files.map(({ path, bytes }) => ({ path: `東京の夜景 写真集/${path}`, bytes })),
      )
      const peers = new Map(report.peers.map((peer: { address: string; port: number }) => [endpointKey(peer), peer]))
      for (const { kind, endpoint } of clients) {
        expect(peers.get(endpointKey(endpoint)), `${kind} over ${channel}`).toMatchObject({
          evidence: 'role-known',
          role: 'seed',
          client: expect.stringMatching(NAMES[kind]),
          channels: expect.arrayContaining([channel]),
          lastOutcome: 'ok',
        })
      }
    }

    const options = () => ['--json', '--allow-private', '--profile', 'lab', '--stay', '5s']

    test('are found and named through their tracker', async ({ cli }) => {
      const [torrent] = lab.torrents as readonly [RealTorrent]
      const args = ['lookup', torrent.magnet, '--channels', 'tracker,pex', ...options()]
      expectTruth(await cli.run(args, { prefix: lab.prefix }), torrent, lab.clients, 'tracker')
    })

    test('that are in the DHT are found and named by the bare info-hash', async ({ cli }) => {
      const [torrent] = lab.torrents as readonly [RealTorrent]
      // aria2 announces at once. Transmission takes half a minute, which is not waited for here.
      const there = await vi.waitUntil(
        async () => {
          const known = await getPeers(nodeHost(), lab.bootstrap, torrent.infoHash)
          const clients = lab.clients.filter(({ endpoint }) => known.has(endpointKey(endpoint)))
          return clients.length > 0 && clients
        },
        { timeout: TIMEOUT_MS / 2, interval: 500 },
      )
      const bootstrap = lab.bootstrap.map(({ host, port }) => `${host}:${port}`).join(',')
      const args = ['lookup', torrent.infoHash, '--channels', 'dht,pex', '--bootstrap', bootstrap, ...options()]
      expectTruth(await cli.run(args, { prefix: lab.prefix }), torrent, there, 'dht')
    })
  },
)
