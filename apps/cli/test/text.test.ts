/** The report as a person reads it, at two widths and of swarms of every kind. */

import type { PeerReport, SwarmReport } from '@swarmatlas/mapper'
import fc from 'fast-check'
import stringWidth from 'string-width'
import { describe, expect, it } from 'vitest'
import { roundText } from '../src/round-text.ts'
import { swarmText } from '../src/swarm-text.ts'
import { cut, cutMiddle, styleFor, table, wrap } from '../src/terminal.ts'

const style = styleFor({ isTTY: false })
const database = { name: 'test places', built: null, attribution: null }
const LONG = '公開された長い名前のトレント：東京の夜景と上海外滩와 서울의 밤 👨‍👩‍👧‍👦 é́́ '.repeat(8)

function peer(i: number, over: Partial<PeerReport> = {}): PeerReport {
  return {
    address: i % 2 ? `2001:db8:1111:2222:3333:4444:5555:${i.toString(16)}` : `198.51.100.${i % 256}`,
    port: 50_000 + i,
    peerId: null,
    flags: [],
    alsoAt: [],
    channels: ['dht', 'tracker', 'pex', 'magnet'],
    tellers: 3,
    evidence: 'role-known',
    sameAs: [],
    inbound: false,
    role: (['seed', 'leech', 'partial'] as const)[i % 3] ?? null,
    progress: 0.999,
    client: i % 5 ? LONG.slice(0, 64) : 'qBittorrent/4.6.5',
    transport: 'tcp',
    encryption: 'plain',
    firstSeenMs: 0,
    lastSeenMs: 0,
    lastOutcome: 'ok',
    place: { country: 'GB', region: null, city: null, lat: null, lon: null, radiusKm: null, asn: null, asName: null },
    ...over,
  }
}

function report(over: Partial<SwarmReport> = {}): SwarmReport {
  const peers = over.peers ?? []
  return {
    target: 'magnet:?xt=urn:btih:…',
    startedMs: 0,
    infoHash: 'ab'.repeat(20),
    infoHashV2: 'cd'.repeat(32),
    private: false,
    metadata: {
      name: LONG,
      totalBytes: 1e12,
      pieceLength: 2 ** 24,
      files: Array.from({ length: 1_000 }, (_, i) => ({ path: `${LONG}/${LONG}/${i}.mkv`, bytes: 1e9 + i })),
      from: '[2001:db8:1111:2222:3333:4444:5555:6666]:51413',
      afterMs: 123_456,
    },
    peers,
    counts: { peers: peers.length, byChannel: {}, byEvidence: {}, seeds: 0, leeches: 0, unknownRole: peers.length },
    trackers: [
      {
        url: `http://${'tracker.'.repeat(20)}example/announce`,
        outcome: 'bad-message',
        detail: 'x'.repeat(200),
        peers: 0,
      },
      { url: 'udp://t.example:80', outcome: 'ok', peers: 1, seeds: 1_234_567, leeches: 7, intervalS: 1800 },
    ],
    completeness: { seen: peers.length, why: 'too little to say' },
    traffic: null,
    elapsedMs: 61_000,
    gaps: [],
    notices: [LONG],
    ...over,
  }
}

const widest = (text: string) => Math.max(...text.split('\n').map((line) => stringWidth(line)))

describe.each([80, 120])('a report in %i columns', (columns) => {
  const options = { style, columns, database }
  const swarms: Record<string, SwarmReport> = {
    'of 500 peers': report({ peers: Array.from({ length: 500 }, (_, i) => peer(i)) }),
    'of one peer': report({ peers: [peer(1)] }),
    'of no peers': report(),
    'without metadata': report({ metadata: null, metadataError: { code: 'nobody-answered', message: LONG } }),
  }
  for (const [what, swarm] of Object.entries(swarms)) {
    it(`${what} keeps to the width`, () => {
      // The hashes are one word each: they stay whole, to be copied.
      const text = swarmText(swarm, options).replace(/^(info-hash|v2) .*$/gm, '')
      expect(widest(text)).toBeLessThanOrEqual(columns)
      expect(text).not.toMatch(/undefined|NaN|null|\[object/)
    })
  }

  it('of a round of many swarms keeps to the width', () => {
    const round = { number: 1, startedMs: 0, endedMs: 1, reason: 'nothing-new' as const, vantage: 'here' }
    const traffic = { bytesIn: 1, bytesOut: 1, byChannel: {} as never }
    const outcome = { round: { ...round, traffic }, swarms: Object.values(swarms), database }
    const text = roundText({ ...outcome, networkProblem: LONG, storeFailure: undefined }, options)
    expect(widest(text)).toBeLessThanOrEqual(columns)
  })
})

describe('a report', () => {
  it('shows of an IPv6 peer begin, end and port in 80 columns, and all of it in 120', () => {
    const swarm = report({ peers: [peer(1)] })
    expect(swarmText(swarm, { style, columns: 80, database })).toMatch(/^ {2}\[2001:db8:[^ ]*….*5:1\]:50001 /m)
    expect(swarmText(swarm, { style, columns: 120, database })).toContain('[2001:db8:1111:2222:3333:4444:5555:1]:50001')
  })

  it('shows the end of a path, which has its ending', () => {
    expect(swarmText(report(), { style, columns: 80, database })).toMatch(/….*999\.mkv/)
  })

  it('names a tracker once that was asked for both hashes of a hybrid', () => {
    const asked = { url: 'udp://t.example:80', outcome: 'ok' as const, peers: 1, seeds: 1 }
    const text = swarmText(report({ trackers: [asked, { ...asked, peers: 2 }, asked] }), {
      style,
      columns: 80,
      database,
    })
    expect(text.match(/udp:/g)).toHaveLength(1)
    expect(text).toContain('1 peer listed')
    expect(text).toContain('2 peers listed')
  })
})

describe('text on a terminal', () => {
  const anyText = fc.string({ unit: 'grapheme', maxLength: 200 })
  const anyWidth = fc.integer({ min: 20, max: 120 })

  it('is cut to its columns, at the end or in the middle, and left alone where it fits', () => {
    fc.assert(
      fc.property(anyText, anyWidth, (text, columns) => {
        for (const shorten of [cut, cutMiddle]) {
          const shown = shorten(text, columns)
          expect(stringWidth(shown)).toBeLessThanOrEqual(columns)
          if (stringWidth(text) <= columns) expect(shown).toBe(text)
        }
      }),
    )
  })

  it('is wrapped to its columns without losing a word', () => {
    fc.assert(
      fc.property(anyText, anyWidth, (text, columns) => {
        const lines = wrap(text, columns, '  ')
        for (const line of lines) expect(stringWidth(line)).toBeLessThanOrEqual(columns)
        expect(lines.join('').replaceAll(' ', '')).toBe(text.replaceAll(' ', ''))
      }),
    )
  })

  it('in a table keeps to its columns; a column without a value is left out', () => {
    const spec = [{ head: 'name', shrinks: true, min: 8 }, { head: 'empty' }, { head: 'n', align: 'right' as const }]
    fc.assert(
      fc.property(fc.array(anyText), anyWidth, (names, columns) => {
        const lines = table(
          spec,
          names.map((name) => [name, '', '7']),
          columns,
          style,
        )
        for (const line of lines) expect(stringWidth(line)).toBeLessThanOrEqual(columns)
        expect(lines).toHaveLength(names.length + 1)
        expect(lines[0]).not.toContain('empty')
      }),
    )
  })
})
