import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { decodeCompactList, endpointKey, type HostPort, read } from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type SimSwarm, type SimTorrent, startSimSwarm } from '../src/index.ts'
import { httpGet, openUdp, percent, udpAnnounce } from './clients.ts'
import { hashOf, listedIn, startFixture } from './swarm-fixture.ts'

let swarm: SimSwarm
let open: SimTorrent
let hidden: SimTorrent
let http: string
let udp: string
beforeAll(async () => {
  swarm = await startFixture()
  ;[open, hidden] = swarm.torrents as [SimTorrent, SimTorrent]
  ;[http, udp] = open.trackers as [string, string]
})
afterAll(() => swarm.close())

const announce = (hash: Uint8Array, rest = 'port=7000&left=5&numwant=200') =>
  httpGet(`${http}?info_hash=${percent(hash)}&peer_id=${'x'.repeat(20)}&compact=1&${rest}`)

describe('the HTTP tracker', () => {
  test.each([0, 1])('lists exactly its peers under wire hash %i', async (index) => {
    const reply = await announce(hashOf(open, index), 'port=7000&left=5&numwant=200&event=started')
    const peers = decodeCompactList(read.bytes(reply, 'peers') as Uint8Array, 4, 1_000)
    expect(new Set(peers.map(endpointKey))).toEqual(listedIn(open, 'tracker'))
    // hub, down and silent are seeds; http and we are not.
    expect([read.integer(reply, 'complete'), read.integer(reply, 'incomplete')]).toEqual([3, 2])
    expect(read.integer(reply, 'interval')).toBe(1_800)
  })

  test('lists the client while it has not stopped, to others only', async () => {
    const mine = '127.0.0.1:7100'
    const listed = async (port: number, rest = '') => {
      const reply = await announce(hashOf(hidden), `port=${port}&left=1&numwant=200${rest}`)
      return decodeCompactList(read.bytes(reply, 'peers') as Uint8Array, 4, 1_000).map(endpointKey)
    }
    expect(await listed(7_100, '&event=started')).not.toContain(mine)
    expect(await listed(7_101)).toContain(mine)
    const before = swarm.counters.trackerStopped
    expect(await listed(7_100, '&event=stopped')).toEqual([])
    expect(swarm.counters.trackerStopped).toBe(before + 1)
    expect(await listed(7_101)).not.toContain(mine)
  })

  test('scrapes what it knows', async () => {
    const asked = [hashOf(hidden), randomBytes(20)].map((hash) => `info_hash=${percent(hash)}`).join('&')
    const files = read.dict(await httpGet(`${http.replace('announce', 'scrape')}?${asked}`), 'files')
    expect([...(files?.keys() ?? [])]).toEqual([Buffer.from(hashOf(hidden)).toString('latin1')])
    expect(read.integer([...(files?.values() ?? [])][0] as never, 'complete')).toBe(1)
  })

  test('names why it fails', async () => {
    expect(read.text(await announce(randomBytes(20)), 'failure reason')).toBe('unregistered torrent')
    expect(read.text(await announce(Buffer.from('short')), 'failure reason')).toBe('invalid request')
  })

  test('splits IPv4 and IPv6 peers (BEP 7)', async () => {
    const files = [{ path: 'x', bytes: 1 }]
    const peers = [
      { name: 'four', role: 'seed', via: ['tracker'] },
      { name: 'six', address: '::1', role: 'seed', via: ['tracker'] },
    ] as const
    await using both = await startSimSwarm(
      { host: nodeHost() },
      { dhtNodes: 0, httpTracker: true, seed: 1, torrents: [{ name: 'x', files, pieceLength: 16_384, peers }] },
    )
    const [torrent] = both.torrents as [SimTorrent]
    const reply = await httpGet(`${torrent.trackers[0]}?info_hash=${percent(hashOf(torrent))}&port=9`)
    const of = (key: string, family: 4 | 6) => decodeCompactList(read.bytes(reply, key) as Uint8Array, family, 10)
    expect(of('peers', 4)).toEqual([torrent.peers[0]?.endpoint])
    expect(of('peers6', 6)).toEqual([torrent.peers[1]?.endpoint])
  })

  test.each(['\r\n\r\n', 'POST /announce HTTP/1.1\r\n\r\n', 'GET\r\n\r\n', `GET /${'x'.repeat(20_000)}`])(
    'answers rubbish by 404 and lives on',
    async (request) => {
      const { hostname, port } = new URL(http)
      const socket = connect(Number(port), hostname)
      socket.write(request)
      let reply = ''
      for await (const chunk of socket) reply += String(chunk)
      expect(reply).toMatch(/^HTTP\/1.1 404 /)
      expect(read.integer(await announce(hashOf(open)), 'interval')).toBe(1_800)
    },
  )
})

describe('the UDP tracker', () => {
  test('lists exactly its peers', async () => {
    const reply = await udpAnnounce(udp, hashOf(open))
    expect(reply.peers).toEqual(listedIn(open, 'udp-tracker'))
    expect(reply).toMatchObject({ transaction: 78, interval: 1_800, seeders: 2, leechers: 1 })
  })

  test('obeys numwant and counts stopped', async () => {
    expect((await udpAnnounce(udp, hashOf(open), { numwant: 1 })).peers?.size).toBe(1)
    const before = swarm.counters.trackerStopped
    expect((await udpAnnounce(udp, hashOf(open), { event: 3 })).peers?.size).toBe(0)
    expect(swarm.counters.trackerStopped).toBe(before + 1)
  })

  test('refuses unknown hashes and connection ids that it did not give', async () => {
    expect((await udpAnnounce(udp, randomBytes(20))).error).toBe('unregistered torrent')
    const ask = openUdp(hostPort(udp))
    const reply = await ask(Buffer.alloc(98, 1))
    expect(reply?.readUInt32BE(0)).toBe(3)
    expect(reply?.subarray(8).toString()).toBe('bad connection id')
    ask.close()
  })

  test('forgets a connection id after two minutes, not before', async () => {
    let elapsedMs = 0
    const real = nodeHost()
    const host = { ...real, clock: { ...real.clock, monotonic: () => elapsedMs } }
    await using aged = await startSimSwarm({ host }, { dhtNodes: 0, udpTracker: true, seed: 1, torrents: [] })
    expect(aged.torrents).toEqual([])
    await using other = await startSimSwarm(
      { host },
      { dhtNodes: 0, udpTracker: true, seed: 1, torrents: [{ ...hidden.spec, private: false, peers: [] }] },
    )
    const [torrent] = other.torrents as [SimTorrent]
    const ask = openUdp(hostPort(torrent.trackers[0] as string))
    const hello = Buffer.alloc(16)
    hello.writeBigUInt64BE(0x41727101980n)
    const connected = (await ask(hello)) as Buffer
    const scrape = Buffer.concat([connected.subarray(8, 16), Buffer.from([0, 0, 0, 2, 0, 0, 0, 5]), hashOf(torrent)])
    elapsedMs = 119_000
    expect((await ask(scrape))?.readUInt32BE(0)).toBe(2)
    elapsedMs = 121_000
    expect((await ask(scrape))?.readUInt32BE(0)).toBe(3)
    ask.close()
  })

  test('scrapes several hashes, zeros for unknown ones', async () => {
    const ask = openUdp(hostPort(udp))
    const hello = Buffer.alloc(16)
    hello.writeBigUInt64BE(0x41727101980n)
    const connected = (await ask(hello)) as Buffer
    const head = Buffer.concat([connected.subarray(8, 16), Buffer.from([0, 0, 0, 2, 0, 0, 0, 5])])
    const reply = (await ask(Buffer.concat([head, randomBytes(20), hashOf(hidden)]))) as Buffer
    const numbers = [8, 12, 16, 20, 24, 28].map((at) => reply.readUInt32BE(at))
    expect(numbers).toEqual([0, 0, 0, 0, 0, 1])
    ask.close()
  })

  test.each([0, 1, 15, 16, 97])('survives %i bytes of rubbish', async (length) => {
    const ask = openUdp(hostPort(udp))
    await ask(randomBytes(length), 40)
    ask.close()
    expect((await udpAnnounce(udp, hashOf(open))).transaction).toBe(78)
  })
})

function hostPort(url: string): HostPort {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port) }
}
