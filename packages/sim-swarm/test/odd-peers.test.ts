/** Peers that do not do as they should, and swarms that are not one. */
import { createHash } from 'node:crypto'
import { decodeCompactList, endpointKey, read } from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { leakCheck } from '@swarmatlas/testkit'
import { expect, test } from 'vitest'
import { type SimPeerSpec, type SimTorrent, type SimTorrentSpec, startSimSwarm } from '../src/index.ts'
import { visit, walk } from './clients.ts'
import { hashOf, peerNamed } from './swarm-fixture.ts'

async function start(spec: Partial<SimTorrentSpec>, peers: readonly SimPeerSpec[]) {
  const torrent: SimTorrentSpec = {
    name: 'a',
    files: [{ path: 'a', bytes: 100_000 }],
    pieceLength: 16_384,
    ...spec,
    peers,
  }
  const swarm = await startSimSwarm({ host: nodeHost() }, { dhtNodes: 12, seed: 1, torrents: [torrent] })
  return { swarm, torrent: swarm.torrents[0] as SimTorrent, [Symbol.asyncDispose]: () => swarm.close() }
}

test('a liar gives metadata as long as the true one, with another hash', async () => {
  await using _ = leakCheck()
  await using sim = await start({}, [
    { name: 'liar', role: 'seed', via: ['dht', 'pex'], metadata: 'false' },
    { name: 'honest', role: 'seed', via: ['dht', 'pex'] },
  ])
  const sha1 = async (name: string) => {
    const { metadata } = await visit(peerNamed(sim.torrent, name).endpoint, hashOf(sim.torrent))
    expect(metadata.length).toBe(sim.torrent.infoBytes.length)
    return createHash('sha1').update(metadata).digest('hex')
  }
  expect(await sha1('honest')).toBe(sim.torrent.hashes.v1)
  expect(await sha1('liar')).not.toBe(sim.torrent.hashes.v1)
})

test('the peers of a leaky private torrent are in the DHT and exchange peers', async () => {
  await using sim = await start({ private: true, leaky: true }, [
    { name: 'a', role: 'seed', via: ['dht', 'pex'] },
    { name: 'b', role: 'seed', via: ['pex'] },
  ])
  const { peers } = await walk(sim.swarm.bootstrap, hashOf(sim.torrent))
  expect(peers).toEqual(new Set([endpointKey(peerNamed(sim.torrent, 'a').endpoint)]))
  const { pex, handshake } = await visit(peerNamed(sim.torrent, 'a').endpoint, hashOf(sim.torrent))
  expect(decodeCompactList(read.bytes(pex, 'added') as Uint8Array, 4, 9)).toEqual([
    peerNamed(sim.torrent, 'b').endpoint,
  ])
  expect(handshake[27]).toBe(0x05)
})

test('a peer of one half of a hybrid is found and answers under that hash alone', async () => {
  await using sim = await start({ version: 'hybrid' }, [
    { name: 'both', role: 'seed', via: ['dht'] },
    { name: 'one', role: 'seed', via: ['dht'], swarm: 'v1' },
    { name: 'two', role: 'seed', via: ['dht'], swarm: 'v2' },
  ])
  const key = (name: string) => endpointKey(peerNamed(sim.torrent, name).endpoint)
  const found = await Promise.all([0, 1].map((index) => walk(sim.swarm.bootstrap, hashOf(sim.torrent, index))))
  expect(found.map(({ peers }) => peers)).toEqual([
    new Set([key('both'), key('one')]),
    new Set([key('both'), key('two')]),
  ])
  await expect(visit(peerNamed(sim.torrent, 'two').endpoint, hashOf(sim.torrent, 0))).rejects.toThrow()
})
