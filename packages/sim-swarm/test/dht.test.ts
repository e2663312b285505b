import { randomBytes } from 'node:crypto'
import { decodeBencode, encodeBencode, endpointKey, infoHashFromBytes, read } from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type SimSwarm, type SimTorrent, startSimSwarm } from '../src/index.ts'
import { askerId, krpc, openUdp, udpExchange, walk } from './clients.ts'
import { hashOf, listedIn, startFixture } from './swarm-fixture.ts'

let swarm: SimSwarm
let open: SimTorrent
let hidden: SimTorrent
beforeAll(async () => {
  swarm = await startFixture()
  ;[open, hidden] = swarm.torrents as [SimTorrent, SimTorrent]
})
afterAll(() => swarm.close())

describe('a lookup', () => {
  test.each([0, 1])('walks to all DHT peers of wire hash %i of a hybrid, past dead nodes', async (index) => {
    const found = await walk(swarm.bootstrap, hashOf(open, index))
    expect(found.peers).toEqual(listedIn(open, 'dht'))
    expect(found.holders).toHaveLength(8)
  })

  test('finds nothing of a private torrent, and is counted by hash', async () => {
    const found = await walk(swarm.bootstrap, hashOf(hidden))
    expect(found.peers.size).toBe(0)
    expect(swarm.counters.dhtGetPeersByHash.get(infoHashFromBytes(hashOf(hidden)))).toBeGreaterThan(8)
  })

  test('over IPv6 carries 18-byte values and nodes6', async () => {
    await using six = await startSimSwarm(
      { host: nodeHost() },
      {
        address: '::1',
        dhtNodes: 30,
        seed: 1,
        torrents: [
          {
            name: 'six',
            pieceLength: 16_384,
            files: [{ path: 'six', bytes: 1 }],
            peers: [
              { name: 'a', role: 'seed', via: ['dht'] },
              { name: 'b', role: 'leech', via: ['dht'] },
            ],
          },
        ],
      },
    )
    const [torrent] = six.torrents as [SimTorrent]
    const found = await walk(six.bootstrap, hashOf(torrent), 6)
    expect(found.peers).toEqual(new Set(torrent.peers.map((peer) => endpointKey(peer.endpoint))))
  })
})

describe('a node', () => {
  test('answers ping and find_node with its id and the 8 nearest it knows', async () => {
    const [node] = swarm.bootstrap as [SimSwarm['bootstrap'][number]]
    const pong = await krpc(node, 'ping', {})
    expect(read.bytes(read.dict(pong, 'r'), 'id')).toHaveLength(20)
    expect(read.bytes(pong, 'ip')).toHaveLength(6)
    const found = await krpc(node, 'find_node', { target: randomBytes(20) })
    expect(read.bytes(read.dict(found, 'r'), 'nodes')).toHaveLength(8 * 26)
  })

  test('takes an announcement with its token only, and names the announced peer afterwards', async () => {
    const [node] = swarm.bootstrap as [SimSwarm['bootstrap'][number]]
    const hash = randomBytes(20)
    const refused = await krpc(node, 'announce_peer', { info_hash: hash, port: 4_001, token: 'wrong' })
    expect(read.text(refused, 'y')).toBe('e')
    const token = read.bytes(read.dict(await krpc(node, 'get_peers', { info_hash: hash }), 'r'), 'token') as Uint8Array
    await krpc(node, 'announce_peer', { info_hash: hash, port: 4_001, token })
    const after = read.dict(await krpc(node, 'get_peers', { info_hash: hash }), 'r')
    expect(read.list(after, 'values')).toEqual([Buffer.from([127, 0, 0, 1, 15, 161])])
  })

  test.each([
    ['no bencode', Buffer.from('hello')],
    ['an empty datagram', Buffer.alloc(0)],
    ['a reply', encodeBencode({ t: 'aa', y: 'r', r: { id: askerId } })],
    ['a short info_hash', encodeBencode({ t: 'aa', y: 'q', q: 'get_peers', a: { id: askerId, info_hash: 'x' } })],
    [
      'an info_hash that is a number',
      encodeBencode({ t: 'a', y: 'q', q: 'get_peers', a: { id: askerId, info_hash: 5 } }),
    ],
    ['arguments that are a list', encodeBencode({ t: 'aa', y: 'q', q: 'ping', a: [] })],
    ['port 0', encodeBencode({ t: 'a', y: 'q', q: 'announce_peer', a: { id: askerId, info_hash: askerId, port: 0 } })],
  ])('survives %s', async (_, bytes) => {
    const [node] = swarm.bootstrap as [SimSwarm['bootstrap'][number]]
    const before = swarm.counters.dhtMalformed
    const ask = openUdp(node)
    const reply = await ask(bytes, 60)
    expect(reply === undefined || read.text(decodeBencode(reply) as never, 'y') === 'e').toBe(true)
    ask.close()
    expect(await krpc(node, 'ping', {})).toBeDefined()
    expect(swarm.counters.dhtMalformed).toBe(before + 1)
  })

  test('names an unknown method', async () => {
    const [node] = swarm.bootstrap as [SimSwarm['bootstrap'][number]]
    const reply = await krpc(node, 'vote', {})
    expect(read.list(reply, 'e')?.[0]).toBe(204)
  })

  test('counts queries that do not say that they are read-only', async () => {
    const [node] = swarm.bootstrap as [SimSwarm['bootstrap'][number]]
    const before = swarm.counters.dhtQueriesNotReadOnly
    await krpc(node, 'ping', {})
    expect(swarm.counters.dhtQueriesNotReadOnly).toBe(before)
    await udpExchange(node, encodeBencode({ t: 'aa', y: 'q', q: 'ping', a: { id: askerId } }))
    expect(swarm.counters.dhtQueriesNotReadOnly).toBe(before + 1)
  })
})
