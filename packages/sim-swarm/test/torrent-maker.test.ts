import { createHash } from 'node:crypto'
import { decodeBencode, parseTorrentFile, read } from '@swarmatlas/core'
import { describe, expect, test } from 'vitest'
import type { SimTorrentSpec } from '../src/index.ts'
import { createPrng } from '../src/prng.ts'
import { makeTorrent } from '../src/torrent-maker.ts'

const files = [
  { path: 'z/写真.jpg', bytes: 100_000 },
  { path: 'a.txt', bytes: 7 },
  { path: 'm', bytes: 0 },
  { path: 'a/deep/er', bytes: 40_000 },
]
const trackers = ['http://127.0.0.1:1/announce', 'udp://127.0.0.1:2/announce']
const make = (version: 'v1' | 'v2' | 'hybrid', rest: Partial<SimTorrentSpec> = {}) =>
  makeTorrent({ name: '名前 & co', files, pieceLength: 16_384, version, peers: [], ...rest }, trackers, createPrng(1))

describe.each(['v1', 'v2', 'hybrid'] as const)('a %s torrent', (version) => {
  test('parses as what it was made of', () => {
    const made = make(version)
    const parsed = parseTorrentFile(made.torrentFile)
    if ('problem' in parsed) throw new Error(parsed.problem)
    expect(parsed.infoBytes).toEqual(made.infoBytes)
    expect(parsed.trackers).toEqual(trackers)
    expect(parsed.info.name).toBe('名前 & co')
    const wanted = files.map(({ path, bytes }) => ({ path: `名前 & co/${path}`, bytes }))
    expect(new Set(parsed.info.files)).toEqual(new Set(wanted))
    const digest = (algorithm: string) => createHash(algorithm).update(made.infoBytes).digest('hex')
    expect(parsed.info.hashes).toEqual({
      v1: version === 'v2' ? undefined : digest('sha1'),
      v2: version === 'v1' ? undefined : digest('sha256'),
    })
    expect(parsed.info.private).toBe(false)
  })

  test('has a magnet that names its hashes, its name and its trackers', () => {
    const { magnet, hashes } = make(version)
    const parameters = new URL(magnet).searchParams
    const topics = [hashes.v1 && `urn:btih:${hashes.v1}`, hashes.v2 && `urn:btmh:1220${hashes.v2}`]
    expect(parameters.getAll('xt')).toEqual(topics.filter(Boolean))
    expect(parameters.get('dn')).toBe('名前 & co')
    expect(parameters.getAll('tr')).toEqual(trackers)
  })

  test('may be private, and may be one file', () => {
    const { info } = make(version, { private: true, name: 'one', files: [{ path: 'one', bytes: 20_000 }] })
    expect(info).toMatchObject({ private: true, pieceCount: 2, files: [{ path: 'one', bytes: 20_000 }] })
  })

  test('is the same for the same seed', () => {
    expect(make(version).torrentFile).toEqual(make(version).torrentFile)
  })
})

test('both halves of a hybrid agree on the pieces, thanks to padding', () => {
  expect(make('hybrid').info.pieceCount).toBe(make('v2').info.pieceCount)
  expect(make('v1').info.pieceCount).toBe(Math.ceil(140_007 / 16_384))
})

test('the piece layers of a v2 torrent hash to the roots in its file tree (BEP 52)', () => {
  const pieceLength = 32_768
  const { torrentFile } = make('v2', { pieceLength, name: 'one', files: [{ path: 'one', bytes: 100_000 }] })
  const dict = decodeBencode(torrentFile)
  if (!(dict instanceof Map)) throw new Error('not a dictionary')
  const layers = read.dict(dict, 'piece layers')
  const [[root, layer]] = [...(layers ?? [])] as [[string, Uint8Array]]
  const hash = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest()
  const zero = new Uint8Array(32)
  const piece = (index: number) => layer.subarray(index * 32, index * 32 + 32)
  expect(layer).toHaveLength(4 * 32)
  expect(hash(hash(piece(0), piece(1)), hash(piece(2), piece(3))).toString('latin1')).toBe(root)

  const three = make('v2', { pieceLength, name: 'one', files: [{ path: 'one', bytes: 90_000 }] })
  const [[root3, layer3]] = [...(read.dict(decodeBencode(three.torrentFile) as never, 'piece layers') ?? [])] as [
    [string, Uint8Array],
  ]
  const [a, b, c] = [0, 32, 64].map((at) => layer3.subarray(at, at + 32)) as [Uint8Array, Uint8Array, Uint8Array]
  // A piece of 32 KiB is two blocks: the one past the end is a tree of two zero leaves.
  expect(hash(hash(a, b), hash(c, hash(zero, zero))).toString('latin1')).toBe(root3)
})
