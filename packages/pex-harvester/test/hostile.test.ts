import { encodeBencode, limits } from '@swarmatlas/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { settle } from './support/manual-clock.ts'
import { extension, frame, handshake, index, PEER_METADATA, PEER_PEX } from './support/peer.ts'
import { INFO, type Stage, SWARM, startVisit } from './support/visit.ts'

const EXTENSION = { m: { ut_metadata: PEER_METADATA, ut_pex: PEER_PEX }, metadata_size: INFO.length }

/** The session is over and left nothing behind. */
function expectGone(stage: Stage): void {
  expect(stage.error).toBeUndefined()
  expect(stage.visit).toBeDefined()
  expect(stage.ours.destroyed).toBe(true)
  expect(stage.clock.pending).toBe(0)
  expect(stage.counts.get('session.exceptions')).toBeUndefined()
}

function lengthPrefix(length: number): Uint8Array {
  return index(length)
}

describe('before the handshake', () => {
  test('garbage instead of a handshake ends the session at its first wrong byte', async () => {
    const stage = await startVisit()
    stage.peer.send(Buffer.from('H'))
    await settle()
    expect(stage.visit).toMatchObject({ outcome: 'bad-message', opened: true, handshaken: false, refuted: false })
    expectGone(stage)
  })

  test('silence ends with the handshake deadline', async () => {
    const stage = await startVisit()
    await stage.clock.advance(limits.handshakeTimeoutMs + 10)
    expect(stage.visit).toMatchObject({ outcome: 'timeout', opened: true, handshaken: false, refuted: false })
    expectGone(stage)
  })

  test('a byte a second does not stretch the handshake deadline', async () => {
    const stage = await startVisit()
    for (const byte of handshake(SWARM).subarray(0, 10)) {
      stage.peer.send(Uint8Array.of(byte))
      await stage.clock.advance(1_000)
    }
    expect(stage.visit).toMatchObject({ outcome: 'timeout', durationMs: limits.handshakeTimeoutMs })
    expectGone(stage)
  })

  test('immediate close', async () => {
    const stage = await startVisit()
    stage.peer.stream.end()
    await settle()
    expect(stage.visit).toMatchObject({ outcome: 'reset', opened: true, handshaken: false })
    expectGone(stage)
  })
})

describe('after the handshake', () => {
  const GREETING = [handshake(SWARM), extension(0, EXTENSION)]

  test.each([
    ['a 2 GiB length prefix', [...GREETING, lengthPrefix(2 ** 31)]],
    ['a 4 GiB length prefix', [...GREETING, lengthPrefix(2 ** 32 - 1)]],
    ['a 100 MB bitfield', [...GREETING, lengthPrefix(104_857_601), Uint8Array.of(5)]],
    ['64 KiB and a byte before the extension handshake', [handshake(SWARM), lengthPrefix(65_537)]],
    ['a have of two bytes', [...GREETING, frame(4, new Uint8Array(2))]],
    ['a port of one byte', [...GREETING, frame(9, new Uint8Array(1))]],
    ['have-all without the fast bit', [handshake(SWARM, { fast: false }), frame(14)]],
  ])('%s is a bad message', async (_, parts) => {
    const stage = await startVisit()
    stage.peer.send(...parts)
    await settle()
    expect(stage.visit).toMatchObject({ outcome: 'bad-message', handshaken: true, refuted: false })
    expectGone(stage)
  })

  test('a message at the cap is read', async () => {
    const stage = await startVisit()
    stage.peer.send(...GREETING, frame(7, new Uint8Array(limits.messageBytes - 1)), frame(14))
    await stage.clock.advance(20_000)
    expect(stage.visit).toMatchObject({ outcome: 'ok', role: 'seed' })
  })

  test('a flood ends when the session has had its bytes', async () => {
    const stage = await startVisit()
    stage.peer.send(...GREETING)
    const piece = frame(7, new Uint8Array(1_000_000))
    for (let i = 0; i < 14 && stage.visit === undefined; i++) {
      stage.peer.send(piece)
      await settle()
    }
    expect(stage.visit).toMatchObject({ outcome: 'bad-message', handshaken: true })
    expectGone(stage)
  })

  test('a flood of keep-alives and HAVEs ends when the session has had its messages', async () => {
    const stage = await startVisit()
    const have = frame(4, index(7))
    stage.peer.send(...GREETING, new Uint8Array(4 * 50_000), Buffer.concat(Array.from({ length: 60_000 }, () => have)))
    await settle()
    expect(stage.visit).toMatchObject({ outcome: 'bad-message', detail: 'more than 100000 messages' })
    expectGone(stage)
  })

  test('never closes, says nothing: the session leaves by itself', async () => {
    const stage = await startVisit({ stayMs: Number.POSITIVE_INFINITY, wantsMetadata: () => true })
    stage.peer.send(handshake(SWARM))
    await stage.clock.advance(limits.extensionTimeoutMs + 10)
    expect(stage.visit).toMatchObject({ outcome: 'ok', handshaken: true })
    expect(stage.visit).not.toHaveProperty('role')
    expectGone(stage)
  })

  test('a byte a second for ever is left at the ceiling of all sessions', async () => {
    const stage = await startVisit({ stayMs: Number.POSITIVE_INFINITY })
    stage.peer.send(...GREETING, lengthPrefix(60_000))
    for (let s = 0; s < 100; s++) {
      stage.peer.send(Uint8Array.of(0))
      await stage.clock.advance(1_000)
    }
    expect(stage.visit).toMatchObject({ outcome: 'ok', durationMs: limits.sessionStayCeilingMs })
    expectGone(stage)
  })

  test('metadata a piece at a time cannot outlast the ceiling', async () => {
    const stage = await startVisit({ wantsMetadata: () => true })
    const big = new Uint8Array(500_000)
    stage.peer.send(handshake(SWARM), extension(0, { ...EXTENSION, metadata_size: big.length }))
    for (let piece = 0; piece < 20; piece++) {
      stage.peer.sendMetadata(big, [piece])
      await stage.clock.advance(6_000)
    }
    expect(stage.visit).toMatchObject({ outcome: 'ok', durationMs: limits.sessionStayCeilingMs })
    expectGone(stage)
  })

  test.each([
    ['an empty ut_metadata message', new Uint8Array(), true],
    ['ut_metadata that is a list', encodeBencode([1]), true],
    ['data before metadata_size', Buffer.concat([encodeBencode({ msg_type: 1, piece: 0 }), INFO]), false],
  ])('%s does no harm', async (_, payload, withSize) => {
    const stage = await startVisit({ wantsMetadata: () => true })
    stage.peer.send(handshake(SWARM), extension(0, withSize ? EXTENSION : { m: EXTENSION.m }), frame(14))
    stage.peer.send(extension(1, payload), extension(1, payload))
    await stage.clock.advance(20_000)
    expect(stage.visit).toMatchObject({ outcome: 'ok', role: 'seed' })
    expect(stage.of('metadata')).toEqual([])
    expectGone(stage)
  })

  test('an extension message without even an id does no harm', async () => {
    const stage = await startVisit()
    stage.peer.send(...GREETING, frame(20), frame(14))
    await stage.clock.advance(20_000)
    expect(stage.visit).toMatchObject({ outcome: 'ok', role: 'seed' })
  })

  test('PEX with 50,000 entries: the first 200 are read, the others counted', async () => {
    const stage = await startVisit()
    const added = Buffer.alloc(50_000 * 6)
    for (let i = 0; i < 50_000; i++) added.writeUInt32BE(i * 65_536 + 1_000, i * 6 + 2)
    stage.peer.send(...GREETING, extension(2, { added }), frame(14))
    await stage.clock.advance(20_000)
    expect(stage.of('observation')).toHaveLength(limits.pexEntries)
    expect(stage.visit).toMatchObject({ outcome: 'ok', pexAdded: limits.pexEntries })
    expect(stage.counts.get('pex.entries-over-cap')).toBe(50_000 - limits.pexEntries)
  })

  test('PEX every 10 ms: the cap of messages holds, and no early message ends the session', async () => {
    const stage = await startVisit()
    stage.peer.send(...GREETING, frame(14))
    for (let i = 0; i < 250; i++) {
      stage.peer.send(extension(2, { added: Buffer.from([10, 0, 1, i, 0x1a, 0xe1]) }))
      await stage.clock.advance(10)
    }
    expect(stage.of('observation')).toHaveLength(limits.pexMessages)
    expect(stage.visit).toMatchObject({ outcome: 'ok', durationMs: limits.afterPexMs })
  })

  test('a malformed PEX tail costs the tail', async () => {
    const stage = await startVisit()
    stage.peer.send(...GREETING, extension(2, { added: Buffer.from([10, 0, 1, 1, 0x1a, 0xe1, 10, 0, 1]) }), frame(14))
    await stage.clock.advance(20_000)
    expect(stage.of('observation').map(({ observation }) => observation.peer)).toEqual([
      { address: '10.0.1.1', port: 6881 },
    ])
    expect(stage.counts.get('pex.malformed-entries')).toBe(1)
  })
})

describe('no bytes can throw', () => {
  const bencode: fc.Memo<unknown> = fc.memo((depth) => {
    const leaf = fc.oneof(fc.maxSafeInteger(), fc.uint8Array({ maxLength: 20 }), fc.string({ maxLength: 8 }))
    if (depth <= 1) return leaf
    const inner = bencode(depth - 1)
    return fc.oneof(
      leaf,
      fc.array(inner, { maxLength: 3 }),
      fc.dictionary(KEYS, inner, { maxKeys: 4, noNullPrototype: true }),
    )
  })
  const KEYS = fc.oneof(
    fc.constantFrom(
      'm',
      'v',
      'p',
      'yourip',
      'metadata_size',
      'upload_only',
      'ut_pex',
      'ut_metadata',
      'added',
      'added.f',
    ),
    fc.constantFrom('added6', 'dropped', 'dropped6', 'msg_type', 'piece', 'total_size', '__proto__', 'toString'),
    fc.string({ maxLength: 5 }),
  )
  const field = bencode(3) as fc.Arbitrary<never>
  const wrongTypes = fc.record(
    { m: field, v: field, p: field, yourip: field, metadata_size: field, upload_only: field, reqq: field },
    { requiredKeys: [], noNullPrototype: true },
  )

  async function survive(parts: Uint8Array[], cuts: number[]): Promise<void> {
    const stage = await startVisit({ wantsMetadata: () => true, stayMs: 4_000 })
    const bytes = Buffer.concat([handshake(SWARM), ...parts])
    let from = 0
    for (const to of [...cuts.map((cut) => cut % bytes.length), bytes.length].sort((a, b) => a - b)) {
      stage.peer.send(bytes.subarray(from, to))
      from = to
    }
    await stage.clock.advance(limits.sessionStayCeilingMs)
    expectGone(stage)
    expect(stage.of('handshaken')).toHaveLength(1)
  }
  const cuts = fc.array(fc.nat(), { maxLength: 4 })

  test('an extension handshake with wrong types everywhere', async () => {
    await fc.assert(
      fc.asyncProperty(wrongTypes, cuts, async (said, at) => {
        await survive([extension(0, said), frame(14)], at)
      }),
      { numRuns: 150 },
    )
  })

  test('any bencoded value in any extension message', async () => {
    const message = fc.tuple(fc.constantFrom(0, 1, 2, 3), field, fc.uint8Array({ maxLength: 40 }))
    await fc.assert(
      fc.asyncProperty(fc.array(message, { maxLength: 6 }), cuts, async (said, at) => {
        const messages = said.map(([id, value, tail]) => extension(id, Buffer.concat([encodeBencode(value), tail])))
        await survive([extension(0, EXTENSION), ...messages], at)
      }),
      { numRuns: 150 },
    )
  })

  test('any messages of any ids', async () => {
    const message = fc.tuple(
      fc.oneof(fc.nat(255), fc.constantFrom(4, 5, 9, 14, 15, 20)),
      fc.uint8Array({ maxLength: 40 }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(message, { maxLength: 8 }), cuts, async (said, at) => {
        await survive(
          said.map(([id, payload]) => frame(id, payload)),
          at,
        )
      }),
      { numRuns: 150 },
    )
  })

  test('any bytes at all', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), cuts, async (bytes, at) => {
        await survive([bytes], at)
      }),
      { numRuns: 150 },
    )
  })
})
