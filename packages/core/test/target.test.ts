import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Encodable,
  encodeBencode,
  limits,
  looksLikePath,
  parseTarget,
  SwarmatlasError,
  targetFromTorrentFile,
  wireHashes,
} from '../src/index.ts'

const HEX = 'c9e15763f722f23e98a29decdfae341b98d53056'
const BASE32 = 'ZHQVOY7XELZD5GFCTXWN7LRUDOMNKMCW'
const V2 = 'caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e'
const OTHER = '08ada5a7a6183aae1e09d831df6748d566095a10'
const magnet = (rest = '') => `magnet:?xt=urn:btih:${HEX}${rest}`

function errorOf(run: () => unknown): SwarmatlasError {
  try {
    run()
  } catch (error) {
    if (error instanceof SwarmatlasError) return error
    throw error
  }
  throw new Error('it did not throw')
}

describe('hashes', () => {
  const v1 = { v1: HEX, v2: undefined }
  const v2 = { v1: undefined, v2: V2 }
  const both = { v1: HEX, v2: V2 }
  it.each([
    ['hex', HEX, v1],
    ['hex in capitals', HEX.toUpperCase(), v1],
    ['base32', BASE32, v1],
    ['base32 in small letters', BASE32.toLowerCase(), v1],
    ['v2', V2, v2],
    ['v2 multihash', `1220${V2}`, v2],
    ['urn', `urn:btih:${HEX}`, v1],
    ['v2 urn', `urn:btmh:1220${V2}`, v2],
    ['with what copying brings', `\ufeff  "${HEX}"\n`, v1],
    ['magnet', magnet(), v1],
    ['magnet in quotes', `'${magnet()}'`, v1],
    ['magnet in capitals', `MAGNET:?XT=URN:BTIH:${HEX.toUpperCase()}`, v1],
    ['magnet with base32', `magnet:?xt=urn:btih:${BASE32}`, v1],
    ['magnet with an encoded xt', `magnet:?xt=urn%3Abtih%3A${HEX}`, v1],
    ['magnet, v2 only', `magnet:?xt=urn:btmh:1220${V2}`, v2],
    ['hybrid magnet', magnet(`&xt=urn:btmh:1220${V2}`), both],
    ['hybrid magnet, numbered', `magnet:?xt.1=urn:btih:${HEX}&xt.2=urn:btmh:1220${V2}`, both],
    ['magnet that names its hash in both forms', magnet(`&xt=urn:btih:${BASE32}&xt=urn:btih:${HEX}`), v1],
    ['magnet with a foreign topic', magnet('&xt=urn:ed2k:31d6cfe0d16ae931b73c59d7e0c089c0'), v1],
    ['magnet whose btih is its btmh cut short', `magnet:?xt=urn:btih:${V2.slice(0, 40)}&xt=urn:btmh:1220${V2}`, v2],
    ['magnet from the source of a web page', magnet(`&amp;xt=urn:btmh:1220${V2}`), both],
    ['magnet that the shell cut behind its xt', magnet('&'), v1],
    ['magnet that the shell cut within dn', magnet('&dn'), v1],
  ])('%s', (_, text, hashes) => {
    expect(parseTarget(text).hashes).toEqual(hashes)
  })

  it('a hybrid is one torrent in two swarms', () => {
    expect(wireHashes(parseTarget(magnet(`&xt=urn:btmh:1220${V2}`)).hashes)).toEqual([HEX, V2.slice(0, 40)])
  })

  it('any v1 hash reads the same in hex and base32', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 20, maxLength: 20 }), (bytes) => {
        const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
        const base32 = (bits.match(/.{5}/g) ?? []).map((five) => alphabet[Number.parseInt(five, 2)]).join('')
        const hex = Buffer.from(bytes).toString('hex')
        expect(parseTarget(base32).hashes.v1).toBe(hex)
        expect(parseTarget(`magnet:?xt=urn:btih:${base32.toLowerCase()}`).hashes.v1).toBe(hex)
      }),
    )
  })
})

describe('what a magnet names beside its hash', () => {
  it.each([
    ['a%20b', 'a b'],
    ['a+b', 'a b'],
    ['a%2Bb', 'a+b'],
    ['%E6%B5%8B%E8%AF%95', '测试'],
    ['测试', '测试'],
    ['a=b=c', 'a=b=c'],
    ['100%', '100%'],
    ['%zz%4', '%zz%4'],
    ['%ff%fe', '\ufffd\ufffd'],
    ['%1b%5b2J%E2%80%AE', '\ufffd[2J\ufffd'],
    ['', undefined],
  ])('dn=%s is %j', (dn, name) => {
    expect(parseTarget(magnet(`&dn=${dn}&tr=udp://a:1`))).toMatchObject({ name, trackers: ['udp://a:1'] })
  })

  it('trackers: encoded or not, numbered, with = in the value, each once', () => {
    const target = parseTarget(
      magnet(
        '&tr=udp%3A%2F%2Fa.example%3A1&tr.1=http://b.example/announce?k=v=w&tr.2=udp://a.example:1&tr=wss://c.example',
      ),
    )
    expect(target.trackers).toEqual(['udp://a.example:1', 'http://b.example/announce?k=v=w', 'wss://c.example'])
    expect([target.trackersIgnored, target.notes]).toEqual([0, []])
  })

  it('trackers over the limit and what is no tracker are ignored, counted and noted', () => {
    const many = Array.from({ length: limits.trackersPerTarget + 3 }, (_, i) => `&tr=udp://t${i}.example:1`).join('')
    const target = parseTarget(magnet(`&tr=ftp://x&tr=javascript:alert(1)&tr=rubbish&tr=file:///etc/passwd&tr=${many}`))
    expect(target.trackers).toHaveLength(limits.trackersPerTarget)
    expect(target.trackers[0]).toBe('udp://t0.example:1')
    expect(target.trackersIgnored).toBe(8)
    expect(target.notes).toEqual([
      '5 trackers ignored: not an http, https, udp or ws URL',
      '3 trackers over the limit of 20 ignored',
    ])
  })

  it('a tracker URL cannot bring a line break or an endless text', () => {
    const target = parseTarget(
      magnet(`&tr=http://a.example/%0d%0aHost:%20x&tr=http://a.example/${'a'.repeat(limits.trackerUrlChars)}`),
    )
    expect(target.trackers).toEqual(['http://a.example/Host:%20x'])
    expect(target.trackersIgnored).toBe(1)
  })

  it('x.pe: addresses alone, encoded or not, each once; the rest is counted', () => {
    const target = parseTarget(
      magnet(
        '&x.pe=1.2.3.4:80&x.pe=%5B2001:DB8::1%5D%3A6881&x.pe=1.2.3.4:80&x.pe=[::ffff:5.6.7.8]:1&x.pe=evil.example:80&x.pe=1.2.3.4&x.pe=010.1.1.1:5&x.pe=1.1.1.1:0',
      ),
    )
    expect(target.peers).toEqual([
      { address: '1.2.3.4', port: 80 },
      { address: '2001:db8::1', port: 6881 },
      { address: '5.6.7.8', port: 1 },
    ])
    expect(target.notes).toEqual([
      '1 x.pe host name ignored: only addresses are taken',
      '3 x.pe entries ignored: not an address with a port',
    ])
    const many = Array.from({ length: limits.magnetPeers + 1 }, (_, i) => `&x.pe=1.2.3.4:${i + 1}`).join('')
    expect(parseTarget(magnet(many)).peers).toHaveLength(limits.magnetPeers)
  })

  it.each([
    ['0', [0]],
    ['0,2,4-6', [0, 2, 4, 5, 6]],
    ['4-6,5,0%2C2', [0, 2, 4, 5, 6]],
    ['7&so=1', [1, 7]],
  ])('so=%s is %j (BEP 53)', (so, selectOnly) => {
    expect(parseTarget(magnet(`&so=${so}`)).selectOnly).toEqual(selectOnly)
  })

  it.each([
    '0-4000000000',
    '5-1',
    '-1',
    'a',
    '',
    '1.5',
    '0x10',
    '1-2-3',
    `0-${limits.selectOnlyIndex + 1}`,
    Array(8_000).fill('0-99999').join(','),
    Array(11).fill('0-99999').join(','),
  ])('so=%.20s… is ignored before it costs memory', (so) => {
    const target = parseTarget(magnet(`&so=${so}`))
    expect(target.selectOnly).toBeUndefined()
    expect(target.notes).toEqual(['so ignored: not a list of file indexes'])
  })

  it('xs, as and ws are noted and never fetched', () => {
    expect(parseTarget(magnet('&xs=http://a/x.torrent&ws=http://b/&as=http://c/')).notes).toEqual([
      'xs, as, ws ignored: never fetched',
    ])
  })

  it('what is unknown, empty or odd is passed over', () => {
    const odd = '&&=x&dn=n&xl=5&kt=a+b&mt=x&__proto__=1&constructor=2&toString=3&x.pe=&tr=&#fragment'
    expect(parseTarget(magnet(odd))).toMatchObject({ name: 'n', trackers: [], peers: [] })
  })
})

describe('the text for reports', () => {
  it('keeps what the user gave, without the secrets of any URL', () => {
    const secret = 'a1b2c3d4e5f60718293a4b5c6d7e8f90'
    const { text } = parseTarget(
      magnet(
        `&dn=a+b&tr=https%3A%2F%2Ft.example%2F${secret}%2Fannounce&tr.1=http://u:${secret}@t/?k=${secret}&xs=http://x/?p=${secret}&zz=https://y/${secret}&tr=${secret}`,
      ),
    )
    expect(text).not.toContain(secret)
    expect(text).toContain(`xt=urn:btih:${HEX}&dn=a+b&tr=https%3A%2F%2Ft.example%2F…%2Fannounce`)
  })

  it('is printable', () => {
    expect(parseTarget(magnet('&dn=\u001b[2J\u202ex')).text).toBe(`${magnet()}&dn=\ufffd[2J\ufffdx`)
    expect(parseTarget(` ${HEX} `).text).toBe(HEX)
  })
})

describe('what is no target', () => {
  it.each([
    ['', 'no target given'],
    ['hello', "'hello' is not a target"],
    ['\u001b[31m', "'\ufffd[31m' is not a target"],
    [
      HEX.slice(1),
      'unknown info-hash of 39 hex digits: known are 40 hex digits (v1), 32 base32 characters (v1) and 64 hex digits (v2)',
    ],
    [`${HEX}0`, 'unknown info-hash of 41 hex digits'],
    ['deadbeef', 'unknown info-hash of 8 hex digits'],
    [`1114${V2}`, 'unknown info-hash of 68 hex digits'],
    [`g${HEX.slice(1)}`, 'unknown info-hash of 40 characters'],
    [`${BASE32.slice(1)}1`, 'unknown info-hash of 32 characters'],
    ['http://example.org/a.torrent', 'a URL is not a target'],
    ['magnet:', 'the magnet has no info-hash (xt)'],
    ['magnet:?', 'the magnet has no info-hash (xt)'],
    ['magnet:?dn=x', 'the magnet has no info-hash (xt)'],
    ['magnet:?xt=urn:btih:', 'unknown info-hash of 0 hex digits'],
    [`magnet:?xt=urn:btih:${HEX.slice(2)}`, 'unknown info-hash of 38 hex digits'],
    [`magnet:?xt=urn:btih:${'z'.repeat(40)}`, 'unknown info-hash of 40 characters'],
    [`magnet:?xt=urn:btih:${V2}`, 'a btih of 64 characters'],
    [`magnet:?xt=urn:btmh:1114${HEX}`, 'a btmh that is not a SHA-256 multihash'],
    [`magnet:?xt=urn:btmh:${V2}`, 'a btmh that is not a SHA-256 multihash'],
    ['magnet:?xt=urn:ed2k:31d6cfe0', "the magnet names no torrent: its xt is 'urn:ed2k:31d6cfe0'"],
    [magnet(`&xt=urn:btih:${OTHER}`), 'two different btih'],
    [`magnet:?xt=urn:btmh:1220${V2}&xt=urn:btmh:1220${V2.replace('c', 'd')}`, 'two different btmh'],
    [magnet(`&dn=${'x'.repeat(limits.magnetChars)}`), 'at most 65536 are read'],
  ])('%.70j', (text, words) => {
    const error = errorOf(() => parseTarget(text))
    expect(error.code).toBe('BAD_TARGET')
    expect(error.message).toContain(words)
    expect(error.message.length).toBeLessThan(300)
  })

  it.each([
    'magnet:?dn=name',
    'magnet:?',
    'tr=http://t.example/a1b2c3d4e5f6a7b8/announce',
    'dn=x',
    'x.pe=1.2.3.4:5',
    'tr.1=udp://a:1',
    `xt=urn:btih:${HEX}`,
  ])('%s: the hint says what the shell does, and the message shows no passkey', (text) => {
    const error = errorOf(() => parseTarget(text))
    expect(error.hint).toContain('lookup -')
    expect(error.hint).toContain('quotes')
    expect(error.message).not.toContain('a1b2c3d4')
  })

  it('nothing but BAD_TARGET is ever thrown', () => {
    const piece = fc.constantFrom(
      'magnet:?',
      '&',
      '=',
      'xt',
      'xt.1',
      'urn:btih:',
      'urn:btmh:1220',
      HEX,
      BASE32,
      V2,
      'tr=',
      'x.pe=',
      'so=',
      '%',
      '%4',
      '%C3%28',
      '1.2.3.4:5',
      '0-',
      '9999999999',
      ',',
      'http://',
      '[::1]:1',
      '+',
      'dn=',
      '\ud800',
      '\0',
    )
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string()), { maxLength: 12 }), fc.boolean(), (pieces, whole) => {
        const text = (whole ? magnet('&') : '') + pieces.join('')
        looksLikePath(text)
        try {
          const target = parseTarget(text)
          expect(wireHashes(target.hashes).length).toBeGreaterThan(0)
          expect(target.text).not.toMatch(/\p{Cc}|\p{Cs}/u)
        } catch (error) {
          if (!(error instanceof SwarmatlasError && error.code === 'BAD_TARGET')) throw error
        }
      }),
      { numRuns: 1_000 },
    )
  })
})

it('knows a path from everything else', () => {
  for (const text of [
    'a.torrent',
    'A.TORRENT',
    './a',
    '/data/x',
    'dir/x.torrent',
    'C:\\t\\x.torrent',
    '"my file.torrent"',
  ]) {
    expect(looksLikePath(text), text).toBe(true)
  }
  for (const text of [HEX, BASE32, magnet('&dn=a/b.torrent'), 'tr=http://a/b', 'http://a/b.torrent', 'hello', '']) {
    expect(looksLikePath(text), text).toBe(false)
  }
})

describe('the .torrent file', () => {
  const info = { length: 5, name: 'n', 'piece length': 16_384, pieces: 'x'.repeat(20) }
  const file = (members: Record<string, Encodable> = {}) => encodeBencode({ info, ...members })

  it('gives all that it says at once', () => {
    const trackers = Array.from({ length: 25 }, (_, i) => [`udp://t${i}.example:1`])
    const target = targetFromTorrentFile(
      file({ 'announce-list': trackers, nodes: [['router.example', 6881]] }),
      'dir/a.torrent',
    )
    expect(target).toMatchObject({
      text: 'dir/a.torrent',
      name: 'n',
      trackersIgnored: 5,
      nodes: [{ host: 'router.example', port: 6881 }],
      notes: ['5 trackers over the limit of 20 ignored'],
    })
    expect(target.hashes).toEqual(target.info?.info.hashes)
    expect(target.info?.bytes).toEqual(encodeBencode(info))
  })

  it('a private one gives no DHT nodes (BEP 27)', () => {
    const target = targetFromTorrentFile(
      file({ info: { ...info, private: 1 }, nodes: [['router.example', 6881]] }),
      'a',
    )
    expect([target.nodes, target.notes]).toEqual([[], ['nodes ignored: the torrent is private']])
  })

  it.each<[string, Uint8Array | string, string]>([
    ['empty', '', 'the file is empty'],
    ['web page', '\ufeff\n <!DOCTYPE html><html>', 'a web page instead of a torrent'],
    ['magnet', ` ${magnet()}\n`, 'a magnet link in a text file'],
    ['gzip', Uint8Array.of(0x1f, 0x8b, 8, 0), 'compressed with gzip'],
    ['text', 'hello', 'not a bencoded dictionary'],
    ['cut short', file().subarray(0, 40), 'not a bencoded dictionary'],
    ['no info', encodeBencode({ announce: 'x' }), 'no info dictionary'],
    ['bad info', encodeBencode({ info: { name: 'x' } }), 'no piece length'],
  ])('%s: the message names the file and what is wrong', (_, content, words) => {
    const error = errorOf(() => targetFromTorrentFile(Buffer.from(content), 'dir/\u001bx.torrent'))
    expect(error.code).toBe('BAD_TORRENT_FILE')
    expect(error.message).toContain('dir/\ufffdx.torrent: ')
    expect(error.message).toContain(words)
  })

  it('a file over the size limit is not read', () => {
    const error = errorOf(() => targetFromTorrentFile(new Uint8Array(limits.torrentFileBytes + 1), 'big'))
    expect(error.message).toContain('larger than')
  })

  it('nothing but BAD_TORRENT_FILE is ever thrown', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(errorOf(() => targetFromTorrentFile(bytes, 'x')).code).toBe('BAD_TORRENT_FILE')
      }),
    )
  })
})
