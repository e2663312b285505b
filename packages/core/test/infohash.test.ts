import { expect, it } from 'vitest'
import {
  infoHashBytes,
  infoHashFromBytes,
  parseInfoHash,
  parseInfoHashV2,
  sha1InfoHash,
  sha256InfoHash,
  truncatedV2,
  wireHashes,
} from '../src/index.ts'

const abc = Buffer.from('abc')
const v1 = sha1InfoHash(abc)
const v2 = sha256InfoHash(abc)

it('hashes as FIPS 180 says', () => {
  expect(v1).toBe('a9993e364706816aba3e25717850c26c9cd0d89d')
  expect(v2).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})

it('takes hex of the right length alone, and writes it in lower case', () => {
  expect(parseInfoHash(v1.toUpperCase())).toBe(v1)
  expect(parseInfoHashV2(v2.toUpperCase())).toBe(v2)
  for (const text of ['', v1.slice(1), `${v1}0`, `g${v1.slice(1)}`, `${v1}\n`, v2]) {
    expect(parseInfoHash(text), text).toBeUndefined()
  }
  for (const text of ['', v2.slice(1), `${v2}0`, `g${v2.slice(1)}`, v1]) expect(parseInfoHashV2(text)).toBeUndefined()
})

it('goes to bytes and back', () => {
  expect(infoHashFromBytes(infoHashBytes(v1))).toBe(v1)
  expect(() => infoHashFromBytes(new Uint8Array(19))).toThrow(TypeError)
})

it('a hybrid is asked for under both its hashes, v2 cut to 20 bytes (BEP 52)', () => {
  expect(wireHashes({ v1, v2 })).toEqual([v1, v2.slice(0, 40)])
  expect(wireHashes({ v1, v2: undefined })).toEqual([v1])
  expect(wireHashes({ v1: undefined, v2 })).toEqual([truncatedV2(v2)])
  expect(wireHashes({ v1: truncatedV2(v2), v2 })).toEqual([truncatedV2(v2)])
})
