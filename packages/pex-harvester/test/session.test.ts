import { encodeBencode, encodeCompact, endpointKey, limits, sha256InfoHash, truncatedV2 } from '@swarmatlas/core'
import { describe, expect, test } from 'vitest'
import { settle } from './support/manual-clock.ts'
import { extension, frame, handshake, index, PEER_METADATA, PEER_PEX } from './support/peer.ts'
import { INFO, OUR_ID, SWARM, startVisit } from './support/visit.ts'

const EXTENSION = {
  m: { ut_metadata: PEER_METADATA, ut_pex: PEER_PEX },
  v: 'Transmission 4.0.6',
  p: 51_413,
  yourip: new Uint8Array([192, 0, 2, 7]),
  metadata_size: INFO.length,
}
const SEED = frame(14)

describe('an ordinary visit', () => {
  test('learns who the peer is, takes PEX and metadata, and leaves 2 s after the first PEX message', async () => {
    const stage = await startVisit({ wantsMetadata: () => true, pieceCount: () => 2 })
    const { peer, clock } = stage
    peer.send(handshake(SWARM, { dht: true }), extension(0, EXTENSION), SEED, frame(9, Buffer.from([0x1a, 0xe1])))
    await settle()
    expect(peer.requested).toEqual([0])
    peer.sendMetadata(INFO, [0])
    await settle()
    peer.send(
      extension(2, {
        added: encodeCompact({ address: '10.0.0.2', port: 1000 }),
        'added.f': new Uint8Array([0x12]),
        dropped: encodeCompact({ address: '10.0.0.3', port: 1000 }),
      }),
    )
    await clock.advance(1_900)
    expect(stage.visit).toBeUndefined()
    await clock.advance(200)

    expect(stage.visit).toMatchObject({
      outcome: 'ok',
      opened: true,
      handshaken: true,
      refuted: false,
      transport: 'tcp',
      encryption: 'plain',
      peerId: Buffer.from('-TR4060-abcdefghijkl').toString('hex'),
      client: 'Transmission 4.0.6',
      role: 'seed',
      progress: 1,
      listenPort: 51_413,
      metadataSize: INFO.length,
      speaksPex: true,
      yourIp: '192.0.2.7',
      pexAdded: 1,
    })
    expect(stage.of('metadata').map(({ bytes }) => Buffer.from(bytes))).toEqual([Buffer.from(INFO)])
    expect(stage.of('dht-node').map(({ endpoint }) => endpointKey(endpoint))).toEqual(['10.0.0.1:6881'])
    const [added, dropped] = stage.of('observation').map(({ observation }) => observation)
    expect(added).toMatchObject({
      channel: 'pex',
      swarm: SWARM,
      teller: { kind: 'peer', endpoint: { address: '10.0.0.1', port: 6881 } },
      peer: { address: '10.0.0.2', port: 1000 },
      flags: [],
      pex: { seed: true, reachable: true, utp: false },
    })
    expect(dropped).toMatchObject({ peer: { address: '10.0.0.3', port: 1000 }, flags: ['dropped'] })
    expect(stage.ours.destroyed).toBe(true)
    expect(clock.pending).toBe(0)
  })

  test('sends a handshake, have-none, its extension handshake and metadata requests, and nothing else', async () => {
    const { peer, clock } = await startVisit({ wantsMetadata: () => true })
    peer.send(handshake(SWARM), extension(0, EXTENSION), frame(5, new Uint8Array([0xff, 0xff])))
    peer.send(frame(1), frame(2), frame(6, Buffer.alloc(12)), frame(17, index(0)))
    await settle()
    peer.sendMetadata(INFO, [0])
    await clock.advance(30_000)
    const expected = handshake(SWARM, { dht: true, peerId: OUR_ID })
    expect(peer.receivedHandshake).toEqual(expected)
    expect(peer.received.map(({ id, payload }) => [id, id === 20 ? payload[0] : -1])).toEqual([
      [15, -1],
      [20, 0],
      [20, PEER_METADATA],
    ])
    expect([...(peer.receivedExtension?.keys() ?? [])].sort()).toEqual(['m', 'v'])
    expect(peer.receivedExtension?.get('m')).toEqual(
      new Map([
        ['lt_donthave', 3],
        ['ut_metadata', 1],
        ['ut_pex', 2],
      ]),
    )
    expect(String(peer.receivedExtension?.get('v'))).toBe('Swarmatlas 0.1.0')
  })

  test('what a peer says it can do is kept for the census, later words over earlier ones', async () => {
    const stage = await startVisit({ pieceCount: () => 20 })
    stage.peer.send(handshake(SWARM, { dht: true }))
    stage.peer.send(
      extension(0, {
        m: { ut_metadata: PEER_METADATA, ut_holepunch: 4, lt_donthave: 7, share_mode: 8, '\u001b[31mred': 9 },
        reqq: 250,
        e: 1,
        upload_only: 1,
        complete_ago: 60,
        ipv4: Uint8Array.of(192, 0, 2, 9),
        ipv6: Buffer.from('20010db8000000000000000000000001', 'hex'),
      }),
      extension(0, { m: { share_mode: 0 }, complete_ago: -1, ipv4: Uint8Array.of(1, 2), reqq: 'many' }),
      frame(5, Uint8Array.of(0xff, 0xc0, 0)),
      extension(3, index(5)),
    )
    await stage.clock.advance(5_000)
    expect(stage.visit).toMatchObject({
      role: 'partial',
      progress: 9 / 20,
      ipv4: '192.0.2.9',
      ipv6: '2001:db8::1',
      census: {
        reserved: '0000000000100005',
        extensions: ['lt_donthave', 'ut_holepunch', 'ut_metadata', '\ufffd[31mred'],
        reqq: 250,
        prefersEncryption: true,
        uploadOnly: true,
        completeAgoS: 60,
      },
    })
  })

  test('a peer that closes before it had time for HAVEs has no role unless it is a seed', async () => {
    const stage = await startVisit({ pieceCount: () => 20 })
    stage.peer.send(handshake(SWARM), extension(0, EXTENSION), frame(5, Uint8Array.of(0xff, 0xc0, 0)))
    await stage.clock.advance(limits.roleWaitMs - 500)
    stage.peer.stream.end()
    await settle()
    expect(stage.visit).toMatchObject({ outcome: 'reset', handshaken: true })
    expect(stage.visit).not.toHaveProperty('role')
  })

  test('of a peer that names extensions without end some are kept', async () => {
    const stage = await startVisit()
    const m = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`${'x'.repeat(100)}${i}`, 1 + (i % 255)]))
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`${i}`.padStart(40, '0'), 1 + (i % 255)]))
    const short = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`x${i}`, 1 + (i % 255)]))
    stage.peer.send(handshake(SWARM), extension(0, { m }), extension(0, { m: many }), extension(0, { m: short }), SEED)
    await stage.clock.advance(20_000)
    const names = stage.visit?.census?.extensions ?? []
    expect(names.length).toBe(limits.extensionNames)
    expect(Math.max(...names.map((name) => name.length))).toBeLessThanOrEqual(limits.extensionNameChars)
  })

  test('says nothing beyond the handshake to a peer without extensions, and reads its bitfield', async () => {
    const stage = await startVisit({ pieceCount: () => 10 })
    stage.peer.send(handshake(SWARM, { extended: false, fast: false }), frame(5, new Uint8Array([0xff, 0])))
    await stage.clock.advance(3_100)
    expect(stage.visit).toMatchObject({ outcome: 'ok', role: 'leech', progress: 0.8, client: 'Transmission 4.0.6' })
    expect(stage.visit).not.toHaveProperty('speaksPex')
    expect(stage.peer.received).toEqual([])
  })

  test('a private swarm: no DHT bit, no ut_pex in m, no PEX and no PORT read, no waiting for PEX', async () => {
    const stage = await startVisit({ private: () => true })
    stage.peer.send(handshake(SWARM), extension(0, EXTENSION), frame(9, Buffer.from([0x1a, 0xe1])), frame(4, index(0)))
    stage.peer.send(extension(2, { added: encodeCompact({ address: '10.0.0.2', port: 1000 }) }))
    await stage.clock.advance(3_100)
    expect(stage.visit).toMatchObject({ outcome: 'ok', pexAdded: 0 })
    expect(stage.events.map(({ type }) => type)).toEqual(['opened', 'handshaken'])
    expect((stage.peer.receivedHandshake[27] as number) & 1).toBe(0)
    expect(stage.peer.receivedExtension?.get('m')).toEqual(
      new Map([
        ['lt_donthave', 3],
        ['ut_metadata', 1],
      ]),
    )
  })

  test('a swarm that turns out private during the session: PEX is read no more', async () => {
    let secret = false
    const stage = await startVisit({ private: () => secret })
    stage.peer.send(handshake(SWARM), extension(0, EXTENSION), SEED)
    await settle()
    secret = true
    stage.peer.send(extension(2, { added: encodeCompact({ address: '10.0.0.2', port: 1000 }) }))
    await stage.clock.advance(1_100)
    expect(stage.visit).toMatchObject({ outcome: 'ok', pexAdded: 0 })
    expect(stage.of('observation')).toEqual([])
  })

  test('a peer that does not name ut_pex is left as soon as its role is known', async () => {
    const stage = await startVisit()
    stage.peer.send(handshake(SWARM), extension(0, { m: {} }), SEED)
    await settle()
    expect(stage.visit).toMatchObject({ outcome: 'ok', role: 'seed', speaksPex: false })
  })

  test('a peer that never sends PEX is left when the stay is over', async () => {
    const stage = await startVisit({ stayMs: 6_000 })
    stage.peer.send(handshake(SWARM), extension(0, EXTENSION), SEED)
    await stage.clock.advance(5_900)
    expect(stage.visit).toBeUndefined()
    await stage.clock.advance(200)
    expect(stage.visit).toMatchObject({ outcome: 'ok', durationMs: 6_000 })
  })

  test('the handshake that comes byte by byte is the same handshake', async () => {
    const stage = await startVisit()
    const bytes = Buffer.concat([handshake(SWARM), extension(0, EXTENSION), SEED])
    for (const byte of bytes) stage.peer.send(Uint8Array.of(byte))
    await settle()
    expect(stage.of('handshaken')).toHaveLength(1)
    await stage.clock.advance(20_000)
    expect(stage.visit).toMatchObject({ outcome: 'ok', role: 'seed', client: 'Transmission 4.0.6' })
  })
})

describe('metadata', () => {
  const big = Buffer.concat([Buffer.from('d6:pieces100000:'), Buffer.alloc(100_000, 7), Buffer.from('e')])
  const bigExtension = { ...EXTENSION, m: { ut_metadata: PEER_METADATA }, metadata_size: big.length }
  const v2 = truncatedV2(sha256InfoHash(big))

  test('four requests at a time, pieces in any order, verified by SHA-256 as well', async () => {
    const stage = await startVisit({ swarm: v2, wantsMetadata: () => true })
    stage.peer.send(handshake(v2), extension(0, bigExtension), SEED)
    await settle()
    expect(stage.peer.requested).toEqual([0, 1, 2, 3])
    stage.peer.sendMetadata(big, [3, 0])
    await settle()
    expect(stage.peer.requested).toEqual([0, 1, 2, 3, 4, 5])
    stage.peer.sendMetadata(big, [1, 2, 5, 4])
    await settle()
    stage.peer.sendMetadata(big, [6])
    await settle()
    expect(stage.of('metadata').map(({ bytes }) => Buffer.from(bytes).equals(big))).toEqual([true])
    expect(stage.visit).toMatchObject({ outcome: 'ok' })
  })

  test('a slow peer is waited for beyond the stay, up to the ceiling', async () => {
    const stage = await startVisit({ swarm: v2, wantsMetadata: () => true, stayMs: 5_000 })
    stage.peer.send(handshake(v2), extension(0, bigExtension), SEED)
    for (let piece = 0; piece < 7; piece++) {
      await stage.clock.advance(7_000)
      stage.peer.sendMetadata(big, [piece])
    }
    await settle()
    expect(stage.of('metadata')).toHaveLength(1)
    expect(stage.visit).toMatchObject({ outcome: 'ok', durationMs: 49_000 })
  })

  test('a peer that stops sending pieces is given up 8 s later', async () => {
    const stage = await startVisit({ swarm: v2, wantsMetadata: () => true, stayMs: 5_000 })
    stage.peer.send(handshake(v2), extension(0, bigExtension), SEED)
    await stage.clock.advance(2_000)
    stage.peer.sendMetadata(big, [0])
    await stage.clock.advance(20_000)
    expect(stage.visit).toMatchObject({ outcome: 'ok', durationMs: 10_000 })
    expect(stage.of('metadata-rejected')).toEqual([])
  })

  test('fetching stops when the metadata is wanted no more', async () => {
    let wanted = true
    const stage = await startVisit({ swarm: v2, wantsMetadata: () => wanted })
    stage.peer.send(handshake(v2), extension(0, bigExtension), SEED)
    await settle()
    wanted = false
    stage.peer.sendMetadata(big, [0, 1])
    await settle()
    expect(stage.peer.requested).toEqual([0, 1, 2, 3])
    expect(stage.visit).toMatchObject({ outcome: 'ok' })
  })

  test('a refusal ends the attempt', async () => {
    const stage = await startVisit({ wantsMetadata: () => true })
    stage.peer.send(handshake(SWARM), extension(0, { ...EXTENSION, m: { ut_metadata: PEER_METADATA } }), SEED)
    await settle()
    stage.peer.send(extension(1, { msg_type: 2, piece: 0 }))
    await settle()
    expect(stage.visit).toMatchObject({ outcome: 'ok' })
    expect(stage.of('metadata-rejected')).toEqual([])
  })

  test.each([0, -1, 300])('is not asked for under the id %i', async (id) => {
    const stage = await startVisit({ wantsMetadata: () => true })
    stage.peer.send(handshake(SWARM), extension(0, { ...EXTENSION, m: { ut_metadata: id } }), SEED)
    await settle()
    expect(stage.peer.received.map(({ payload }) => payload[0])).toEqual([undefined, 0])
    expect(stage.visit).toMatchObject({ outcome: 'ok' })
  })

  test('is not asked for when it is not wanted', async () => {
    const stage = await startVisit()
    stage.peer.send(handshake(SWARM), extension(0, EXTENSION), SEED)
    await stage.clock.advance(20_000)
    expect(stage.peer.requested).toEqual([])
  })

  test.each([
    [
      'a piece out of range',
      () => [Buffer.concat([encodeBencode({ msg_type: 1, piece: 99, total_size: INFO.length }), INFO])],
    ],
    [
      'a negative piece',
      () => [Buffer.concat([encodeBencode({ msg_type: 1, piece: -1, total_size: INFO.length }), INFO])],
    ],
    ['another total size', () => [Buffer.concat([encodeBencode({ msg_type: 1, piece: 0, total_size: 5 }), INFO])]],
    ['a piece too short', () => [Buffer.concat([encodeBencode({ msg_type: 1, piece: 0 }), INFO.subarray(1)])]],
    [
      'a hash that does not match',
      () => [Buffer.concat([encodeBencode({ msg_type: 1, piece: 0 }), Buffer.from(INFO).reverse()])],
    ],
  ])('is rejected: %s', async (_, payloads) => {
    const stage = await startVisit({ wantsMetadata: () => true })
    stage.peer.send(handshake(SWARM), extension(0, EXTENSION), SEED)
    for (const payload of payloads()) stage.peer.send(extension(1, payload))
    await settle()
    expect(stage.of('metadata-rejected')).toHaveLength(1)
    expect(stage.of('metadata')).toEqual([])
    await stage.clock.advance(20_000)
    expect(stage.visit).toMatchObject({ outcome: 'ok', handshaken: true })
  })

  test('is rejected: larger than the cap, without a request', async () => {
    const stage = await startVisit({ wantsMetadata: () => true })
    stage.peer.send(handshake(SWARM), extension(0, { ...EXTENSION, metadata_size: 2 ** 40 }), SEED)
    await settle()
    expect(stage.of('metadata-rejected')).toEqual([{ type: 'metadata-rejected', problem: `${2 ** 40} bytes` }])
    expect(stage.peer.requested).toEqual([])
  })

  test('is rejected: a size that changes while it is fetched', async () => {
    const stage = await startVisit({ wantsMetadata: () => true })
    stage.peer.send(handshake(SWARM), extension(0, EXTENSION))
    await settle()
    stage.peer.send(extension(0, { ...EXTENSION, metadata_size: 1_000 }))
    await settle()
    expect(stage.of('metadata-rejected')).toHaveLength(1)
  })
})

describe('endings', () => {
  test('closed in the middle of its handshake', async () => {
    const stage = await startVisit()
    stage.peer.send(handshake(SWARM).subarray(0, 40))
    stage.peer.stream.end()
    await settle()
    expect(stage.visit).toMatchObject({ outcome: 'reset', opened: true, handshaken: false })
  })

  test('closed after the handshake: what it said stays', async () => {
    const stage = await startVisit()
    stage.peer.send(handshake(SWARM), extension(0, EXTENSION), SEED)
    stage.peer.stream.end()
    await settle()
    expect(stage.visit).toMatchObject({ outcome: 'reset', handshaken: true, refuted: false, role: 'seed' })
  })

  test('a foreign info-hash: refuted', async () => {
    const stage = await startVisit()
    stage.peer.send(handshake('ab'.repeat(20) as typeof SWARM))
    await settle()
    expect(stage.visit).toMatchObject({ outcome: 'bad-message', handshaken: false, refuted: true })
  })

  test('our own peer id: ourselves, no peer', async () => {
    const stage = await startVisit()
    stage.peer.send(handshake(SWARM, { peerId: OUR_ID }))
    await settle()
    expect(stage.visit).toMatchObject({ outcome: 'forbidden', detail: 'ourselves', handshaken: false, refuted: false })
  })

  test('abort before its handshake throws the reason and hangs up', async () => {
    const stop = new AbortController()
    const stage = await startVisit({ signal: stop.signal })
    const reason = new Error('enough')
    stop.abort(reason)
    await settle()
    expect(stage.error).toBe(reason)
    expect(stage.ours.destroyed).toBe(true)
    expect(stage.clock.pending).toBe(0)
  })

  test('abort after its handshake keeps what it said of itself', async () => {
    const stop = new AbortController()
    const stage = await startVisit({ signal: stop.signal })
    stage.peer.send(handshake(SWARM), extension(0, EXTENSION), SEED)
    await settle()
    stop.abort(new Error('enough'))
    await settle()
    expect(stage.visit).toMatchObject({
      outcome: 'ok',
      detail: 'cut short',
      role: 'seed',
      client: 'Transmission 4.0.6',
    })
    expect(stage.ours.destroyed).toBe(true)
    expect(stage.clock.pending).toBe(0)
  })
})
