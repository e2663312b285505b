import { endpointKey, parseTorrentFile } from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { createSimNetwork, leakCheck, withVirtualTime } from '@swarmatlas/testkit'
import { describe, expect, test } from 'vitest'
import { demoSwarmOptions, type SimPeerSpec, startSimSwarm } from '../src/index.ts'
import { extended, krpc, wireConnect } from './clients.ts'
import { hashOf, listedIn, startFixture } from './swarm-fixture.ts'

const torrentWith = (...peers: SimPeerSpec[]) => ({
  name: 't',
  files: [{ path: 't', bytes: 1 }],
  pieceLength: 16_384,
  peers,
})

describe('close', () => {
  test('leaves nothing open, with sessions and PEX under way', async () => {
    await using _ = leakCheck()
    const before = process.getActiveResourcesInfo().sort()
    const host = nodeHost()
    const pending = new Set<object>()
    const clock = {
      ...host.clock,
      timer(ms: number, fire: () => void) {
        const timer = host.clock.timer(ms, fire)
        pending.add(timer)
        return { cancel: () => pending.delete(timer) && timer.cancel() }
      },
    }
    const swarm = await startFixture({ ...host, clock })
    const [open] = swarm.torrents
    const bootstrap = swarm.bootstrap[0]
    if (open === undefined || bootstrap === undefined) throw new Error('nothing started')
    await krpc(bootstrap, 'ping', {})
    const live = open.peers.filter((peer) => peer.alive && !peer.spec.silent)
    const clients = await Promise.all(live.map((peer) => wireConnect(peer.endpoint, hashOf(open))))
    for (const client of clients) {
      client?.send(20, extended(0, { m: { ut_pex: 1 } }))
      client?.send(20, extended(2, { msg_type: 0, piece: 0 }))
    }
    await expect.poll(() => swarm.counters.metadataRequests).toBe(clients.length)
    expect(pending.size).toBeGreaterThan(0)
    await Promise.all([swarm.close(), swarm.close()])
    await swarm.close()
    expect(pending.size).toBe(0)
    for (const client of clients) client?.socket.destroy()
    await expect.poll(() => process.getActiveResourcesInfo().sort()).toEqual(before)
  })

  test('closes what was opened when the rest fails to open', async () => {
    await using _ = leakCheck()
    const host = nodeHost()
    const listen = () => Promise.reject(Object.assign(new Error('in use'), { code: 'EADDRINUSE' }))
    const start = startSimSwarm(
      { host: { ...host, tcp: { ...host.tcp, listen } } },
      { dhtNodes: 5, udpTracker: true, httpTracker: true, seed: 1, torrents: [] },
    )
    await expect(start).rejects.toThrow('in use')
  })
})

test('the same seed gives the same swarm but for its ports', async () => {
  const traits = async () => {
    await using swarm = await startFixture()
    return swarm.torrents.map(({ info, peers }) => ({
      info,
      peers: peers.map(({ peerId, progress, via, connectedTo }) => ({
        peerId,
        progress,
        via,
        named: connectedTo.size,
      })),
    }))
  }
  expect(await traits()).toEqual(await traits())
})

test('the demo has peers that only one channel knows, for each channel, and all its torrents parse', async () => {
  await using swarm = await startSimSwarm({ host: nodeHost() }, demoSwarmOptions())
  const [torrent] = swarm.torrents
  if (torrent === undefined) throw new Error('no torrent')
  const alone = torrent.peers.filter((peer) => peer.alive && peer.via.length === 1).map((peer) => peer.via[0])
  expect(new Set(alone)).toEqual(new Set(['dht', 'tracker', 'udp-tracker', 'pex']))
  expect(torrent.truth.size).toBe(40)
  expect(torrent.peers.filter((peer) => !peer.alive)).toHaveLength(3)
  expect(new Set(torrent.peers.map((peer) => peer.spec.role))).toEqual(new Set(['seed', 'leech', 'partial']))
  expect(new Set(torrent.peers.map((peer) => endpointKey(peer.endpoint))).size).toBe(43)
  const parsed = parseTorrentFile(torrent.torrentFile)
  expect('problem' in parsed ? parsed.problem : parsed.info.files.map((file) => file.path)).toContain(
    'Swarmatlas demo: lights of the world/写真/東京の夜景.jpg',
  )
})

test('runs on a network in memory', async () => {
  const found = await withVirtualTime({ seed: 1 }, async () => {
    const network = createSimNetwork({ seed: 1 })
    const host = network.host('10.0.0.0/24')
    const peers = [
      { name: 'a', address: '10.0.0.2', role: 'seed', via: ['dht'] },
      { name: 'b', address: '10.0.0.3', role: 'leech', via: ['dht'] },
    ] as const
    await using swarm = await startSimSwarm(
      { host },
      { address: '10.0.0.1', dhtNodes: 20, httpTracker: true, seed: 3, torrents: [torrentWith(...peers)] },
    )
    const [torrent] = swarm.torrents
    if (torrent === undefined) throw new Error('no torrent')
    const visitor = network.host('10.0.1.1')
    const stream = await visitor.tcp.connect(torrent.peers[0]?.endpoint as never, {
      signal: new AbortController().signal,
    })
    const hello = Buffer.concat([
      Buffer.from('\u0013BitTorrent protocol', 'latin1'),
      Buffer.alloc(8),
      hashOf(torrent),
      Buffer.alloc(20, 1),
    ])
    stream.write(hello)
    let received = Buffer.alloc(0)
    for await (const chunk of stream) {
      received = Buffer.concat([received, chunk as Buffer])
      if (received.length >= 68) break
    }
    return {
      peerId: received.subarray(48, 68).toString('hex'),
      wanted: torrent.peers[0]?.peerId,
      listed: listedIn(torrent, 'dht'),
    }
  })
  expect(found.peerId).toBe(found.wanted)
  expect([...found.listed].map((key) => key.split(':')[0])).toEqual(['10.0.0.2', '10.0.0.3'])
})

describe('connections', () => {
  test('follow the names that a spec gives', async () => {
    await using swarm = await startSimSwarm(
      { host: nodeHost() },
      {
        dhtNodes: 0,
        httpTracker: true,
        seed: 1,
        torrents: [
          torrentWith(
            { name: 'a', role: 'seed', via: ['tracker'] },
            { name: 'b', role: 'seed', via: ['tracker'], pexConnected: ['a'] },
            { name: 'c', role: 'seed', via: ['tracker'] },
          ),
        ],
      },
    )
    const [a, b, c] = swarm.torrents[0]?.peers ?? []
    if (a === undefined || b === undefined || c === undefined) throw new Error('three peers were asked for')
    expect([...a.connectedTo]).toEqual([endpointKey(b.endpoint)])
    expect([...b.connectedTo]).toEqual([endpointKey(a.endpoint)])
    expect(a.via).toEqual(['tracker', 'pex'])
    expect([c.via, c.connectedTo.size]).toEqual([['tracker'], 0])
  })

  test('hang every PEX peer on hubs whose lists fit into one message, however many', async () => {
    const many = Array.from({ length: 120 }, (_, i): SimPeerSpec => ({ name: `p${i}`, role: 'leech', via: ['pex'] }))
    const hubs = Array.from({ length: 9 }, (_, i): SimPeerSpec => ({ name: `h${i}`, role: 'seed', via: ['tracker'] }))
    await using swarm = await startSimSwarm(
      { host: nodeHost() },
      { dhtNodes: 0, httpTracker: true, seed: 1, torrents: [torrentWith(...many, ...hubs)] },
    )
    const peers = swarm.torrents[0]?.peers ?? []
    const named = new Set(peers.filter((peer) => peer.spec.role === 'seed').flatMap((peer) => [...peer.connectedTo]))
    for (const peer of peers.filter(({ spec }) => spec.role === 'leech')) {
      expect(named).toContain(endpointKey(peer.endpoint))
      expect(peer.via).toEqual(['pex'])
    }
    expect(Math.max(...peers.map((peer) => peer.connectedTo.size))).toBeLessThanOrEqual(50)
  })
})

describe('a swarm that cannot be', () => {
  const peer = (rest: Partial<SimPeerSpec>): SimPeerSpec => ({ name: 'p', role: 'seed', via: ['tracker'], ...rest })
  test.each([
    ['a PEX peer without a hub', torrentWith(peer({ via: ['pex'] })), /PEX needs a live peer/],
    ['a private torrent with a DHT peer', { ...torrentWith(peer({ via: ['dht'] })), private: true }, /private/],
    ['two peers of one name', torrentWith(peer({}), peer({})), /two peers of one name/],
    ['a peer of an unknown tracker', torrentWith(peer({ via: ['udp-tracker'] })), /no UDP tracker/],
    ['an IPv6 peer in an IPv4 DHT', torrentWith(peer({ via: ['dht'], address: '::1' })), /one family/],
    ['a v2 torrent with odd pieces', { ...torrentWith(), pieceLength: 20_000, version: 'v2' as const }, /power of two/],
    ['a peer in no channel', torrentWith(peer({ via: [] })), /no channel/],
    ['a connection to nobody', torrentWith(peer({ pexConnected: ['q'] })), /unknown q/],
  ])('is refused: %s', async (_, torrent, message) => {
    await using _check = leakCheck()
    const start = startSimSwarm({ host: nodeHost() }, { dhtNodes: 2, httpTracker: true, seed: 1, torrents: [torrent] })
    await expect(start).rejects.toMatchObject({ code: 'BAD_OPTION', message: expect.stringMatching(message) })
  })
})
