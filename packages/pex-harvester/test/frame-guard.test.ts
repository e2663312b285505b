import { limits } from '@swarmatlas/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createFrameGuard, type Frame } from '../src/frame-guard.ts'
import { frame, handshake, index } from './support/peer.ts'
import { SWARM } from './support/visit.ts'

function readAll(chunks: Iterable<Uint8Array>): Frame[] {
  const guard = createFrameGuard()
  return [...chunks].flatMap((chunk) => [...guard.read(chunk)])
}

test('frames are the same however the bytes are cut', () => {
  const message = fc.tuple(fc.nat(255), fc.uint8Array({ maxLength: 3_000 })).map(([id, payload]) => frame(id, payload))
  fc.assert(
    fc.property(fc.array(message, { maxLength: 6 }), fc.array(fc.nat(), { maxLength: 20 }), (messages, cuts) => {
      const bytes = Buffer.concat([handshake(SWARM), ...messages])
      const at = [0, ...cuts.map((cut) => cut % bytes.length), bytes.length].sort((a, b) => a - b)
      const chunks = at.slice(1).map((to, i) => bytes.subarray(at[i], to))
      const frames = readAll(chunks).map(({ bytes }) => Buffer.from(bytes))
      expect(frames).toEqual([handshake(SWARM), ...messages.map((m) => m.subarray(4))].map((m) => Buffer.from(m)))
    }),
  )
})

test('a length over the cap is refused before any of its message is kept', () => {
  const guard = createFrameGuard()
  const bytes = Buffer.concat([handshake(SWARM), index(2 ** 31), Buffer.alloc(60_000)])
  expect([...guard.read(bytes)]).toHaveLength(1)
  expect(guard.problem).toBe(`a message of ${2 ** 31} bytes`)
  expect(guard.heldBytes).toBe(0)
  expect([...guard.read(frame(1))]).toEqual([])
})

test('the cap rises with the extension handshake, and only with it', () => {
  const large = frame(7, new Uint8Array(limits.messageBytesBeforeExtension))
  const caps = (...parts: Uint8Array[]) => readAll([Buffer.concat([handshake(SWARM), ...parts, large])]).length
  expect(caps(frame(20, Uint8Array.of(0)))).toBe(3)
  expect(caps(frame(20, Uint8Array.of(1)))).toBe(2)
})

test('a large message that trickles in takes time in proportion to its size', () => {
  const guard = createFrameGuard()
  const body = new Uint8Array(limits.messageBytesBeforeExtension)
  const frames: Frame[] = [...guard.read(Buffer.concat([handshake(SWARM), index(body.length)]))]
  let copied = 0
  const set = Uint8Array.prototype.set
  Uint8Array.prototype.set = function (source, offset) {
    copied += source.length
    set.call(this, source, offset)
  }
  try {
    for (let i = 0; i < body.length; i++) frames.push(...guard.read(body.subarray(i, i + 1)))
  } finally {
    Uint8Array.prototype.set = set
  }
  expect(frames).toHaveLength(2)
  expect(copied).toBeLessThan(3 * body.length)
})
