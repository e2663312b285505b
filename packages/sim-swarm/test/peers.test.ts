import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { decodeCompactList, endpointKey, read } from '@swarmatlas/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SimSwarm, SimTorrent } from '../src/index.ts'
import { extended, visit, type WireClient, wireConnect } from './clients.ts'
import { hashOf, peerNamed, startFixture } from './swarm-fixture.ts'

let swarm: SimSwarm
let open: SimTorrent
let hidden: SimTorrent
beforeAll(async () => {
  swarm = await startFixture()
  ;[open, hidden] = swarm.torrents as [SimTorrent, SimTorrent]
})
afterAll(() => swarm.close())

describe('a visit to a hub', () => {
  test.each([0, 1])('under wire hash %i gives metadata of the right hash and its PEX list', async (index) => {
    const hub = peerNamed(open, 'hub')
    const { handshake, hello, share, pex, metadata } = await visit(hub.endpoint, hashOf(open, index))
    expect(handshake.subarray(48).toString('hex')).toBe(hub.peerId)
    expect(handshake.subarray(48, 56).toString()).toBe('-qB4650-')
    expect(handshake.subarray(28, 48)).toEqual(hashOf(open, index))
    // Extensions; fast and DHT.
    expect([handshake[25], handshake[27]]).toEqual([0x10, 0x05])
    expect(read.text(hello, 'v')).toBe('qBittorrent/4.6.5')
    expect(read.integer(hello, 'p')).toBe(hub.endpoint.port)
    expect(read.integer(hello, 'upload_only')).toBe(1)
    expect(read.bytes(hello, 'yourip')).toEqual(Buffer.from([127, 0, 0, 1]))
    expect(share?.id).toBe(14)
    expect(createHash('sha1').update(metadata).digest('hex')).toBe(open.hashes.v1)
    expect(createHash('sha256').update(metadata).digest('hex')).toBe(open.hashes.v2)
    expect(metadata.length).toBeGreaterThan(16_384)

    const added = decodeCompactList(read.bytes(pex, 'added') as Uint8Array, 4, 100).map(endpointKey)
    expect(new Set(added)).toEqual(hub.connectedTo)
    expect(added.length).toBeGreaterThan(1)
  })
})

test('what peers name over PEX is what the truth says can be found so', async () => {
  const named = new Map<string, number | undefined>()
  for (const peer of open.peers) {
    if (!peer.alive || peer.spec.silent || peer.connectedTo.size === 0) continue
    const { pex } = await visit(peer.endpoint, hashOf(open))
    const added = decodeCompactList(read.bytes(pex, 'added') as Uint8Array, 4, 100).map(endpointKey)
    expect(new Set(added)).toEqual(peer.connectedTo)
    const flags = read.bytes(pex, 'added.f')
    for (const [at, key] of added.entries()) named.set(key, flags?.[at])
  }
  const truth = open.peers.filter((peer) => peer.via.includes('pex')).map((peer) => endpointKey(peer.endpoint))
  expect(new Set(named.keys())).toEqual(new Set(truth))
  const flagsOf = (name: string) => named.get(endpointKey(peerNamed(open, name).endpoint))
  // Seed or partial seed 0x02, reachable 0x10.
  expect(['pex', 'pex-leech', 'down', 'hub'].map(flagsOf)).toEqual([0x12, 0x10, 0x02, 0x12])
})

describe('the role of a peer', () => {
  const first = async (torrent: SimTorrent, name: string, reserved7: number) => {
    const client = (await wireConnect(peerNamed(torrent, name).endpoint, hashOf(torrent), reserved7)) as WireClient
    const message = await client.next()
    client.socket.destroy()
    return message
  }

  test('a seed has all, with and without the fast extension', async () => {
    expect(await first(open, 'udp', 0x04)).toMatchObject({ id: 14 })
    const bitfield = await first(open, 'udp', 0)
    expect(bitfield?.id).toBe(5)
    expect(countBits(bitfield?.payload)).toBe(open.info.pieceCount)
  })

  test('a leech with nothing says so, or begins with its extension handshake', async () => {
    expect(await first(open, 'dht', 0x04)).toMatchObject({ id: 15 })
    expect(await first(open, 'dht', 0)).toMatchObject({ id: 20 })
  })

  test('a partial seed has the share of pieces that its spec names', async () => {
    const message = await first(open, 'pex', 0x04)
    expect(message?.id).toBe(5)
    expect(message?.payload).toHaveLength(Math.ceil(open.info.pieceCount / 8))
    expect(countBits(message?.payload)).toBe(Math.floor(open.info.pieceCount / 2))
    expect(peerNamed(open, 'pex').progress).toBeCloseTo(0.5, 2)
  })

  test('a leech near the end lacks a piece', async () => {
    expect(countBits((await first(open, 'http', 0x04))?.payload)).toBe(open.info.pieceCount - 1)
  })
})

test('a peer of a private torrent speaks neither DHT nor PEX, but gives metadata', async () => {
  const peer = peerNamed(hidden, 'one')
  const client = (await wireConnect(peer.endpoint, hashOf(hidden))) as WireClient
  client.send(20, extended(0, { m: { ut_metadata: 3, ut_pex: 4 } }))
  expect((client.handshake[27] as number) & 0x01).toBe(0)
  client.send(20, extended(2, { msg_type: 0, piece: 0 }))
  await client.next()
  expect((await client.next())?.payload.toString('latin1')).not.toContain('ut_pex')
  expect((await client.next())?.payload.subarray(1).toString('latin1')).toContain('name11:private.iso')
  expect(peer.connectedTo.size).toBe(0)
  client.socket.destroy()
})

describe('refusals', () => {
  test('a foreign info-hash and what is no handshake are hung up on', async () => {
    const { endpoint } = peerNamed(open, 'hub')
    const before = swarm.counters.peerRejected
    expect(await wireConnect(endpoint, hashOf(hidden))).toBeUndefined()
    const socket = connect(endpoint.port, endpoint.address)
    socket.on('error', () => {})
    socket.end('GET / HTTP/1.1\r\n\r\n')
    await once(socket, 'close')
    expect(swarm.counters.peerRejected).toBe(before + 2)
  })

  test('a down peer refuses; a silent one accepts and says nothing', async () => {
    const down = connect(peerNamed(open, 'down').endpoint.port, '127.0.0.1')
    const [error] = await once(down, 'error')
    expect(error.code).toBe('ECONNREFUSED')
    const silent = connect(peerNamed(open, 'silent').endpoint.port, '127.0.0.1')
    let said = 0
    silent.on('data', (bytes) => {
      said += bytes.length
    })
    silent.write(Buffer.concat([Buffer.from('\u0013BitTorrent protocol', 'latin1'), Buffer.alloc(8), hashOf(open)]))
    await new Promise((wake) => setTimeout(wake, 60))
    expect([said, silent.destroyed]).toEqual([0, false])
    silent.destroy()
  })

  test('metadata past the end is rejected, garbage is ignored, a huge message ends the session', async () => {
    const client = (await wireConnect(peerNamed(open, 'dht').endpoint, hashOf(open))) as WireClient
    client.send(20, Buffer.from('\u0000garbage'))
    client.send(20)
    client.send(20, extended(2, { msg_type: 'x', piece: [] }))
    client.send(20, extended(0, { m: { ut_metadata: 9 } }))
    client.send(20, extended(2, { msg_type: 0, piece: 4_000 }))
    await client.next()
    await client.next()
    const rejected = await client.next()
    expect(rejected?.payload[0]).toBe(9)
    expect(rejected?.payload.toString('latin1')).toContain('msg_typei2e')
    client.socket.write(Buffer.from([255, 255, 255, 255, 0]))
    expect(await client.next().catch(() => undefined)).toBeUndefined()
  })
})

test('a visitor that does more than look is counted', async () => {
  const { counters } = swarm
  const client = (await wireConnect(peerNamed(open, 'dht').endpoint, hashOf(open))) as WireClient
  const before = { ...counters }
  client.send(2)
  client.send(6, new Uint8Array(12))
  client.send(4, new Uint8Array(4))
  client.send(20, extended(1, { added: '' }))
  client.send(20, extended(2, { msg_type: 0, piece: 0 }))
  await expect.poll(() => counters.metadataRequests).toBe(before.metadataRequests + 1)
  expect(counters.interestedReceived).toBe(before.interestedReceived + 1)
  expect(counters.pieceRequestsReceived).toBe(before.pieceRequestsReceived + 1)
  expect(counters.pieceClaimsReceived).toBe(before.pieceClaimsReceived + 1)
  expect(counters.pexReceived).toBe(before.pexReceived + 1)
  client.socket.destroy()
  await expect.poll(() => counters.peerConnectionsOpen).toBe(0)
})

function countBits(bytes: Uint8Array | undefined): number {
  return [...(bytes ?? [])].reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0)
}
