import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Encodable,
  encodeBencode,
  type InfoHash,
  isInfoOf,
  limits,
  parseInfo,
  parseTorrentFile,
  type TorrentInfo,
  wireHashes,
} from '../src/index.ts'

const base = { name: 'n', 'piece length': 16_384 }
const v1Single = { ...base, length: 20_000, pieces: 'x'.repeat(40) }
const v1Multi = (files: Encodable) => ({ ...base, files, pieces: 'x'.repeat(20) })
const leaf = (length: number) => ({ '': { length, 'pieces root': 'r'.repeat(32) } })
const v2 = (tree: Encodable) => ({ ...base, 'file tree': tree, 'meta version': 2 })

function info(dict: Encodable): TorrentInfo {
  const parsed = parseInfo(encodeBencode(dict))
  if ('problem' in parsed) throw new Error(parsed.problem)
  return parsed
}

function problem(dict: Encodable): string | undefined {
  const parsed = parseInfo(encodeBencode(dict))
  return 'problem' in parsed ? parsed.problem : undefined
}

describe('the info dictionary', () => {
  it('v1 with a single file', () => {
    const bytes = encodeBencode(v1Single)
    expect(parseInfo(bytes)).toEqual({
      name: 'n',
      totalBytes: 20_000,
      pieceLength: 16_384,
      pieceCount: 2,
      files: [{ path: 'n', bytes: 20_000 }],
      private: false,
      hashes: { v1: createHash('sha1').update(bytes).digest('hex'), v2: undefined },
    })
  })

  it('v1 with several files, CJK names and the UTF-8 fields of old clients', () => {
    const parsed = info({
      ...v1Multi([
        { length: 1, path: ['目录', '文件.txt'] },
        { length: 2, path: ['wrong'], 'path.utf-8': ['right'] },
      ]),
      name: 'wrong',
      'name.utf-8': '测试',
    })
    expect(parsed.name).toBe('测试')
    expect(parsed.files).toEqual([
      { path: '测试/目录/文件.txt', bytes: 1 },
      { path: '测试/right', bytes: 2 },
    ])
    expect(parsed.totalBytes).toBe(3)
  })

  it('leaves padding files out (BEP 47)', () => {
    const parsed = info(
      v1Multi([
        { length: 5, path: ['a'] },
        { attr: 'p', length: 100, path: ['.pad', '100'] },
        { attr: 'x', length: 6, path: ['b'] },
      ]),
    )
    expect(parsed.files.map((file) => file.path)).toEqual(['n/a', 'n/b'])
    expect(parsed.totalBytes).toBe(11)
  })

  it('v2: directories nest, pieces are counted per file, the hash is SHA-256', () => {
    const dict = v2({ a: leaf(16_385), dir: { b: leaf(1), empty: leaf(0) } })
    const parsed = info(dict)
    expect(parsed.files).toEqual([
      { path: 'n/a', bytes: 16_385 },
      { path: 'n/dir/b', bytes: 1 },
      { path: 'n/dir/empty', bytes: 0 },
    ])
    expect(parsed.pieceCount).toBe(3)
    expect(parsed.hashes.v1).toBeUndefined()
    expect(parsed.hashes.v2).toBe(createHash('sha256').update(encodeBencode(dict)).digest('hex'))
  })

  it('v2: a single file named like the torrent stands alone', () => {
    expect(info(v2({ n: leaf(7) })).files).toEqual([{ path: 'n', bytes: 7 }])
    expect(info(v2({ m: leaf(7) })).files).toEqual([{ path: 'n/m', bytes: 7 }])
  })

  it('a hybrid has both hashes over the same bytes', () => {
    const bytes = encodeBencode({ ...v1Single, 'file tree': { n: leaf(20_000) }, 'meta version': 2 })
    const parsed = parseInfo(bytes) as TorrentInfo
    expect(wireHashes(parsed.hashes)).toHaveLength(2)
    expect(parsed.files).toEqual([{ path: 'n', bytes: 20_000 }])
    for (const hash of wireHashes(parsed.hashes)) expect(isInfoOf(bytes, hash)).toBe(true)
    expect(isInfoOf(bytes, '0'.repeat(40) as InfoHash)).toBe(false)
    expect(isInfoOf(bytes.subarray(1), parsed.hashes.v1 as InfoHash)).toBe(false)
  })

  it('private is 1 and nothing else (BEP 27)', () => {
    expect(info({ ...v1Single, private: 1 }).private).toBe(true)
    for (const value of [0, 2, '1', []]) expect(info({ ...v1Single, private: value }).private).toBe(false)
  })

  it('is hashed as it came, unsorted keys and repeated keys too', () => {
    const bytes = Buffer.from('d6:pieces20:xxxxxxxxxxxxxxxxxxxx4:name1:n12:piece lengthi1e6:lengthi1e4:name1:me')
    const parsed = parseInfo(bytes) as TorrentInfo
    expect(parsed.hashes.v1).toBe(createHash('sha1').update(bytes).digest('hex'))
    expect(parsed.name).toBe('n')
  })

  it.each<[string, Encodable]>([
    ['not bencoded', 5],
    ['no name', { 'piece length': 1, pieces: '' }],
    ['no name', { ...v1Single, name: '' }],
    ['no name', { ...v1Single, name: 5 }],
    ['no piece length', { ...v1Single, 'piece length': 0 }],
    ['no piece length', { ...v1Single, 'piece length': '1' }],
    ['neither pieces (v1) nor a file tree (v2)', base],
    ['neither pieces (v1) nor a file tree (v2)', { ...v2({ a: leaf(1) }), 'meta version': 3 }],
    ['not a multiple of 20', { ...v1Single, pieces: 'x' }],
    ['negative size', { ...v1Single, length: -1 }],
    ['neither a length nor files', { ...base, pieces: '' }],
    ['a file entry is not a dictionary', v1Multi([1])],
    ['no valid size', v1Multi([{ path: ['a'] }])],
    ['no valid size', v1Multi([{ length: -5, path: ['a'] }])],
    ['no path', v1Multi([{ length: 1 }])],
    ['no path', v1Multi([{ length: 1, path: [] }])],
    ['add up to more than can be', v1Multi(Array(3).fill({ length: Number.MAX_SAFE_INTEGER, path: ['a'] }))],
    ['no valid size', v2({ a: { '': {} } })],
    ['a file entry is not a dictionary', v2({ a: 1 })],
  ])('says "%s"', (words, dict) => {
    expect(problem(dict)).toContain(words)
  })
})

describe('hostile names', () => {
  it.each([['..'], ['.'], [''], ['/etc/passwd'], ['..\\..\\boot.ini'], ['a/../../b']])('%j leads nowhere', (part) => {
    for (const parsed of [
      info({ ...v1Multi([{ length: 1, path: [part, part] }]), name: part === '' ? 'n' : part }),
      info({ ...v2({ dir: { [part || '.']: leaf(1) }, z: leaf(1) }), name: part === '' ? 'n' : part }),
    ]) {
      for (const { path } of parsed.files) {
        expect(path).not.toContain('\\')
        expect(path.startsWith('/')).toBe(false)
        for (const piece of path.split('/')) expect(['', '.', '..']).not.toContain(piece)
      }
    }
  })

  it('control characters, overrides and bytes that are not UTF-8 become U+FFFD', () => {
    const parsed = info({ ...v1Single, name: '\u001b[2Jcod\u202etxt.exe\n' })
    expect(parsed.name).toBe('\ufffd[2Jcod\ufffdtxt.exe\ufffd')
    expect(info({ ...v1Single, name: Uint8Array.of(0xff, 0xfe, 0x41) }).name).toBe('\ufffd\ufffdA')
  })

  it('a name of a megabyte is cut', () => {
    expect([...info({ ...v1Single, name: 'é'.repeat(1_000_000) }).name]).toHaveLength(limits.nameChars)
  })

  it('paths that add up to gigabytes in a few megabytes are refused (v1, v2)', () => {
    const long = 'n'.repeat(limits.nameChars)
    const files = Array(40_000).fill({ length: 0, path: ['a'] })
    expect(problem({ ...v1Multi(files), name: long })).toContain('file paths add up to more')
    let tree: Encodable = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`f${i}`, leaf(0)]))
    for (let depth = 0; depth < 12; depth++) tree = { [long]: tree }
    expect(problem({ ...v2(tree), name: long })).toContain('file paths add up to more')
  })

  it('a tree deeper than the nesting limit is refused, not overflowed', () => {
    let tree: Encodable = leaf(1)
    for (let depth = 0; depth < 1_000; depth++) tree = { d: tree }
    expect(problem(v2(tree))).toContain('not bencoded')
  })
})

describe('the .torrent file', () => {
  const torrent = (members: Record<string, Encodable>) =>
    parseTorrentFile(encodeBencode({ info: v1Single, ...members }))

  it('gives trackers in the order of the tiers, each once', () => {
    expect(
      torrent({
        announce: 'http://a/',
        'announce-list': [['http://a/', 'udp://b:1'], ['http://c/', ''], 'http://no-tier/', [5]],
      }),
    ).toMatchObject({ trackers: ['http://a/', 'udp://b:1', 'http://c/'] })
    expect(torrent({})).toMatchObject({ trackers: [], nodes: [] })
    expect(torrent({ announce: 5, 'announce-list': 'x', nodes: 7 })).toMatchObject({ trackers: [], nodes: [] })
  })

  it('gives only nodes that can be: a host, a port from 1 to 65,535, and not too many', () => {
    const nodes = [
      ['router.example', 6881],
      ['2001:db8::1', 1],
      ['h', 0],
      ['h', -1],
      ['h', 65_536],
      ['a b/c', 1],
      ['h', '1'],
      ['h'],
      'h',
      [1, 1],
    ]
    expect(torrent({ nodes })).toMatchObject({
      nodes: [
        { host: 'router.example', port: 6881 },
        { host: '2001:db8::1', port: 1 },
      ],
    })
    const many = torrent({ nodes: Array(5_000).fill(['h', 1]) })
    expect('nodes' in many && many.nodes.length).toBe(limits.torrentNodes)
  })

  it('hashes the original bytes of an unsorted info dictionary', () => {
    const raw = 'd6:lengthi1e4:name1:n6:pieces0:12:piece lengthi1e4:zzzzi1e4:aaaai1ee'
    const parsed = parseTorrentFile(Buffer.from(`d8:url-list0:4:info${raw}e`))
    expect('info' in parsed && parsed.info.hashes.v1).toBe(createHash('sha1').update(raw).digest('hex'))
    expect('info' in parsed && Buffer.from(parsed.infoBytes).toString()).toBe(raw)
  })

  it.each([
    ['not a bencoded dictionary', 'hello'],
    ['not a bencoded dictionary', 'd4:infodee and more'],
    ['no info dictionary', 'd8:announce1:xe'],
    ['not bencoded', 'd4:infoi5ee'],
  ])('says "%s" of %j', (words, text) => {
    expect(parseTorrentFile(Buffer.from(text))).toEqual({ problem: expect.stringContaining(words) })
  })
})

describe('properties', () => {
  const anyValue = fc.oneof(
    fc.integer(),
    fc.uint8Array({ maxLength: 50 }),
    fc.constant([]),
    fc.constant({}),
    fc.constant([['a']]),
  )
  const anyInfo = fc.dictionary(
    fc.constantFrom(
      'name',
      'piece length',
      'pieces',
      'length',
      'files',
      'file tree',
      'meta version',
      'private',
      'path',
      'attr',
      '',
    ),
    fc.oneof(
      anyValue,
      fc.array(fc.dictionary(fc.constantFrom('length', 'path', 'attr', ''), anyValue, { noNullPrototype: true }), {
        maxLength: 3,
      }),
    ),
    { noNullPrototype: true },
  )

  it('no dictionary and no bytes throw', () => {
    fc.assert(
      fc.property(anyInfo, anyInfo, (inner, outer) => {
        const valid = { ...v1Single, ...inner }
        for (const dict of [inner, valid]) parseInfo(encodeBencode(dict))
        parseTorrentFile(encodeBencode({ ...outer, info: valid, 'announce-list': inner, nodes: Object.values(inner) }))
      }),
    )
    fc.assert(fc.property(fc.uint8Array(), (junk) => void parseTorrentFile(junk)))
  })

  it('no one-bit mutant of a torrent throws', () => {
    const bytes = encodeBencode({
      announce: 'udp://a:1',
      info: { ...v1Multi([{ length: 1, path: ['a'] }]), ...v2({ a: leaf(1) }) },
    })
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const mutant = Uint8Array.from(bytes)
      mutant[bit >> 3] = (mutant[bit >> 3] as number) ^ (1 << (bit & 7))
      parseTorrentFile(mutant)
    }
  })
})
