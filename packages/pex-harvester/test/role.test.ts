import { describe, expect, test } from 'vitest'
import { createRoleReader, type RoleReader } from '../src/role.ts'

const known = { pieceCount: 20, uploadOnly: false, waited: true, greeted: false }
const unknownCount = { ...known, pieceCount: undefined }

function reader(...steps: ((reader: RoleReader) => void)[]): RoleReader {
  const role = createRoleReader()
  for (const step of steps) step(role)
  return role
}

describe('with the piece count known', () => {
  test.each([
    ['have-all', (r: RoleReader) => r.haveAll(), 'seed', 1],
    ['all bits', (r: RoleReader) => r.bitfield(Uint8Array.of(0xff, 0xff, 0xf0)), 'seed', 1],
    ['half the bits', (r: RoleReader) => r.bitfield(Uint8Array.of(0xff, 0xc0, 0)), 'leech', 0.5],
    ['all but the last piece', (r: RoleReader) => r.bitfield(Uint8Array.of(0xff, 0xff, 0xe0)), 'leech', 0.95],
    ['have-none', (r: RoleReader) => r.haveNone(), 'leech', 0],
    ['a HAVE', (r: RoleReader) => r.have(19), 'leech', 0.05],
    ['nothing', () => {}, undefined, undefined],
    ['a bitfield of another length', (r: RoleReader) => r.bitfield(Uint8Array.of(0xff, 0xff)), undefined, undefined],
    ['spare bits set', (r: RoleReader) => r.bitfield(Uint8Array.of(0xff, 0xff, 0xff)), undefined, undefined],
    ['a HAVE beyond the end', (r: RoleReader) => r.have(20), undefined, undefined],
    ['a bitfield no torrent has', (r: RoleReader) => r.bitfield(new Uint8Array(70_000)), undefined, undefined],
  ])('%s', (_, step, role, progress) => {
    expect(reader(step).verdict(known)).toEqual({ role, progress })
  })

  test('a lazy bitfield completed by HAVEs is a seed', () => {
    const role = reader((r) => r.bitfield(Uint8Array.of(0xfe, 0xff, 0xe0)))
    expect(role.verdict(known).role).toBe('leech')
    role.have(7)
    role.have(7)
    role.have(19)
    expect(role.verdict(known)).toEqual({ role: 'seed', progress: 1 })
  })

  test('HAVEs for every piece instead of a bitfield are a seed', () => {
    const role = reader((r) => r.haveNone())
    for (let piece = 0; piece < 20; piece++) role.have(piece)
    expect(role.verdict(known)).toEqual({ role: 'seed', progress: 1 })
  })

  test('silence is a leech with nothing once the peer had its time', () => {
    expect(reader().verdict({ ...known, greeted: true })).toEqual({ role: 'leech', progress: 0 })
  })

  test('before the wait is over only a seed is known: others may hide what they have', () => {
    const soon = { ...known, waited: false, greeted: true }
    const unknown = { role: undefined, progress: undefined }
    expect(reader((r) => r.bitfield(Uint8Array.of(0xff, 0xc0, 0))).verdict(soon)).toEqual(unknown)
    expect(reader((r) => r.haveNone()).verdict({ ...soon, pieceCount: undefined })).toEqual(unknown)
    expect(reader((r) => r.bitfield(Uint8Array.of(0xff, 0xff, 0xf0))).verdict(soon).role).toBe('seed')
    expect(reader((r) => r.haveAll()).verdict(soon).role).toBe('seed')
  })

  test('a piece that it has no more', () => {
    const some = reader((r) => r.bitfield(Uint8Array.of(0xff, 0xff, 0xf0)))
    for (const piece of [3, 3, 500_000, 4_294_967_295]) some.dontHave(piece)
    expect(some.verdict(known)).toEqual({ role: 'leech', progress: 0.95 })
    some.have(3)
    expect(some.verdict(known).role).toBe('seed')
    const all = reader((r) => r.haveAll())
    all.dontHave(3)
    expect(all.verdict(known)).toEqual({ role: 'leech', progress: undefined })
  })

  test('upload_only is a partial seed unless it has all (BEP 21)', () => {
    const uploadOnly = { ...known, uploadOnly: true }
    expect(reader((r) => r.bitfield(Uint8Array.of(0xff, 0xc0, 0))).verdict(uploadOnly)).toEqual({
      role: 'partial',
      progress: 0.5,
    })
    expect(reader((r) => r.bitfield(Uint8Array.of(0xff, 0xff, 0xf0))).verdict(uploadOnly).role).toBe('seed')
  })

  test('a second bitfield does not count', () => {
    const role = reader(
      (r) => r.bitfield(Uint8Array.of(0xff, 0xc0, 0)),
      (r) => r.bitfield(Uint8Array.of(0xff, 0xff, 0xf0)),
    )
    expect(role.verdict(known).progress).toBe(0.5)
  })
})

describe('with the piece count unknown', () => {
  test.each([
    ['all bits', [0xff, 0xff, 0xff], 'seed', 1],
    ['seven spare bits', [0xff, 0xff, 0x80], 'seed', 1],
    ['a whole byte missing', [0xff, 0xff, 0x00], 'leech', undefined],
    ['a hole', [0xff, 0xfd, 0xf0], 'leech', undefined],
    ['a hole in the last byte', [0xff, 0xff, 0xd0], 'leech', undefined],
    ['an empty bitfield', [0, 0, 0], 'leech', undefined],
    ['no byte at all', [], 'leech', undefined],
  ])('%s', (_, bits, role, progress) => {
    expect(reader((r) => r.bitfield(Uint8Array.from(bits))).verdict(unknownCount)).toEqual({ role, progress })
  })

  test('HAVEs alone are a leech', () => {
    expect(reader((r) => r.have(0)).verdict(unknownCount)).toEqual({ role: 'leech', progress: undefined })
  })
})
