import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { text } from 'node:stream/consumers'
import { type Endpoint, parseEndpoint, parseTorrentFile } from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import {
  createNamespaces,
  getPeers,
  leakCheck,
  realClientsAvailable,
  startRealClients,
  takeEgressRefusals,
} from '@swarmatlas/testkit'
import { expect, test } from 'vitest'
import { startSimSwarm } from '../src/index.ts'
import { handshake } from './handshake.ts'

const available = realClientsAvailable()
const openDht = (address: string) =>
  startSimSwarm({ host: nodeHost() }, { address, dhtNodes: 12, torrents: [], seed: 1 })
const title = (text: string) => (available.ok ? text : `${text} (left out: ${available.why})`)
const torrents = [
  {
    name: 'first',
    files: [
      { path: 'one.txt', bytes: 20_000 },
      { path: 'deep/two.bin', bytes: 50_000 },
    ],
  },
  { name: 'second', files: [{ path: 'only.bin', bytes: 16_384 }] },
]

/** What this process has standing: its namespaces, its interface, its folders. */
function standing(): string[] {
  const own = `sat${process.pid}n`
  const namespaces = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' }).split('\n')
  const interfaces = Object.keys(networkInterfaces())
  const folders = readdirSync(tmpdir()).filter((name) => name.startsWith(`swarmatlas-clients-${process.pid}-`))
  return [...[...namespaces, ...interfaces].filter((name) => name.startsWith(own)), ...folders]
}

test.runIf(available.ok)(title('real clients seed what the truth says, and nothing of them is left'), async () => {
  await using _ = leakCheck()
  const before = standing()
  const host = nodeHost()
  const lab = await startRealClients({ openDht, torrents })
  try {
    expect(lab.clients.map(({ kind }) => kind)).toEqual(['transmission', 'aria2'])
    expect(standing().length).toBeGreaterThan(before.length)
    for (const torrent of lab.torrents) {
      expect(parseTorrentFile(torrent.torrentFile)).toMatchObject({ trackers: [lab.trackerUrl] })
      expect(torrent.magnet).toContain(torrent.infoHash)
      expect(torrent.truth).toHaveLength(2)
      const answers = torrent.truth.map((seed) => handshake(host, parseEndpoint(seed) as Endpoint, torrent.infoHash))
      expect(await Promise.all(answers)).toEqual([torrent.infoHash, torrent.infoHash])
    }
  } finally {
    await lab[Symbol.asyncDispose]()
  }
  await lab[Symbol.asyncDispose]()
  expect(standing()).toEqual(before)
  for (const { pid } of lab.clients) expect(existsSync(`/proc/${pid}`)).toBe(false)
  const [client] = lab.clients
  const [torrent] = lab.torrents
  if (client === undefined || torrent === undefined) throw new Error('no client')
  await expect(handshake(host, client.endpoint, torrent.infoHash)).rejects.toThrow(/egress/)
  expect(takeEgressRefusals()).toHaveLength(1)
})

test.runIf(available.ok)(title('the DHT knows the clients once it is ready'), async () => {
  // Transmission would take half a minute.
  await using lab = await startRealClients({ openDht, torrents, clients: ['aria2'] })
  await lab.dhtReady()
  for (const { infoHash, truth } of lab.torrents) {
    expect(await getPeers(nodeHost(), lab.bootstrap, infoHash)).toEqual(new Set(truth))
  }
})

test.runIf(available.ok)(title('real clients that are not ready in time leave nothing either'), async () => {
  await using _ = leakCheck()
  const before = standing()
  await expect(startRealClients({ openDht, torrents, readyMs: 0 })).rejects.toThrow(/should seed all torrents/)
  expect(standing()).toEqual(before)
})

test.runIf(available.ok)(title('from inside a namespace there is no way out'), async () => {
  await using namespaces = await createNamespaces()
  const address = namespaces.nextAddress()
  const child = await namespaces.run('ip', ['route'], { address })
  const routes = await text(child.stdout as never)
  expect(routes.trim().split('\n')).toHaveLength(1)
  expect(routes).toContain(`${namespaces.prefix} dev eth0`)
})
