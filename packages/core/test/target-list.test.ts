import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { limits, parseTarget, parseTargetList, SwarmatlasError, uniteTargets } from '../src/index.ts'

const A = 'a'.repeat(40)
const B = 'b'.repeat(40)
const C2 = 'c'.repeat(64)
const magnet = (hash: string, rest = '') => `magnet:?xt=urn:btih:${hash}${rest}`
const shape = (text: string) =>
  parseTargetList(text).map((entry) => [entry.line, entry.kind === 'file' ? entry.path : entry.target.hashes.v1])

function messageFor(text: string): string {
  try {
    parseTargetList(text)
  } catch (error) {
    expect(error).toBeInstanceOf(SwarmatlasError)
    expect((error as SwarmatlasError).code).toBe('BAD_TARGET')
    return (error as SwarmatlasError).message
  }
  return 'no error'
}

describe('a list', () => {
  it('has a target or a path a line, comments, blank lines, any line ends, a byte order mark', () => {
    const text = `\ufeff# my list\r\n${A}\r\n\n   \n  ${magnet(B)}  # with a comment\r# more\ndir with blanks/x #1.torrent\n"quoted.torrent"`
    expect(shape(text)).toEqual([
      [2, A],
      [5, B],
      [7, 'dir with blanks/x #1.torrent'],
      [8, 'quoted.torrent'],
    ])
    expect(shape('')).toEqual([])
    expect(shape('# nothing\n')).toEqual([])
  })

  it('names line 17 when line 17 is malformed', () => {
    const lines = Array.from({ length: 20 }, (_, i) => i.toString(16).padStart(40, '0'))
    lines[16] = 'deadbeef'
    expect(messageFor(lines.join('\n'))).toMatch(/^line 17: unknown info-hash of 8 hex digits/)
  })

  it('names five malformed lines at once, counts the rest, and keeps the hint', () => {
    const message = messageFor(`${A}\n${Array(8).fill('rubbish').join('\n')}`)
    expect(message.match(/^line \d+: 'rubbish' is not a target$/gm)).toEqual(
      [2, 3, 4, 5, 6].map((line) => `line ${line}: 'rubbish' is not a target`),
    )
    expect(message).toMatch(/and 3 more$/)
    expect(() => parseTargetList('magnet:?dn=x')).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('&') }),
    )
  })

  it('with too many lines is refused', () => {
    expect(messageFor('\n'.repeat(limits.listLines))).toContain(`at most ${limits.listLines}`)
  })

  it('no text throws anything but BAD_TARGET', () => {
    const line = fc.oneof(fc.string(), fc.constantFrom(A, B, C2, magnet(A), '#', 'x.torrent', 'magnet:?'))
    fc.assert(
      fc.property(fc.array(line), fc.constantFrom('\n', '\r\n'), (lines, end) => void messageFor(lines.join(end))),
    )
  })
})

describe('the same torrent named twice', () => {
  it('becomes one target at the first place, with all trackers and peers and a note', () => {
    const [entry, ...rest] = parseTargetList(
      [
        magnet(A, '&tr=udp://a:1&x.pe=1.2.3.4:1'),
        magnet(A.toUpperCase(), '&dn=n&tr=udp://a:1&tr=udp://b:1&x.pe=1.2.3.4:1&x.pe=1.2.3.4:2'),
      ].join('\n'),
    )
    expect(rest).toEqual([])
    expect(entry).toMatchObject({
      line: 1,
      target: { name: 'n', trackers: ['udp://a:1', 'udp://b:1'], notes: ['named again at line 2: taken once'] },
    })
    expect(entry?.kind === 'target' && entry.target.peers).toHaveLength(2)
  })

  it('is seen through a hybrid that names both hashes, in any order', () => {
    const lines = [A, C2, magnet(A, `&xt=urn:btmh:1220${C2}`), B]
    fc.assert(
      fc.property(fc.shuffledSubarray(lines, { minLength: 4 }), (order) => {
        const targets = parseTargetList(order.join('\n')).map((entry) => entry.kind === 'target' && entry.target.hashes)
        expect(new Set(targets)).toEqual(
          new Set([
            { v1: A, v2: C2 },
            { v1: B, v2: undefined },
          ]),
        )
      }),
    )
  })

  it('is seen in a v2 hash and its first 40 digits, which are no v1 hash', () => {
    const entries = parseTargetList(`${C2.slice(0, 40)}\n${C2}`)
    expect(entries).toMatchObject([{ line: 1, target: { hashes: { v1: undefined, v2: C2 } } }])
  })

  it('keeps to the limits of one target', () => {
    const trackers = (from: number) => Array.from({ length: 15 }, (_, i) => `&tr=udp://t${from + i}:1`).join('')
    const named = [magnet(A, trackers(0)), magnet(A, trackers(10))].map((text, i) => ({
      where: `argument ${i + 1}`,
      target: parseTarget(text),
    }))
    const [united] = uniteTargets(named)
    expect(united?.target.trackers).toHaveLength(limits.trackersPerTarget)
    expect(united?.target.trackersIgnored).toBe(5)
    expect(united?.target.notes).toContain('named again at argument 2: taken once')
  })
})
