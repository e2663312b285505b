import { gzipSync } from 'node:zlib'
import {
  createAddressPolicy,
  type Encodable,
  encodeBencode,
  encodeCompact,
  type Host,
  type InfoHash,
  limits,
  profiles,
} from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { describe, expect, test } from 'vitest'
import { announced, answering, GOOD, PEER } from './fake-http-tracker.ts'
import { eventsOf, forever, harness, httpServer, OTHER_SWARM, SWARM } from './harness.ts'

const PEER6 = { address: '2001:db8::99', port: 6881 }

describe('announce over HTTP', () => {
  test('asks as BEP 3, 7 and 23 say, keeps the passkey, and takes the announce back', async () => {
    const { report, peers, requests } = await announced((_, r) => r.end(GOOD), '/announce?passkey=0123456789abcdef')
    expect(report).toMatchObject({ outcome: 'ok', peers: 1, seeds: 2, leeches: 3, intervalS: 1800 })
    expect(report.url).not.toContain('0123456789abcdef')
    expect(peers).toEqual([PEER])
    const common =
      'passkey=0123456789abcdef&info_hash=%01%23Eg%89%ab%cd%ef%01%23Eg%89%ab%cd%ef%01%23Eg&peer_id=-SA0001-abcdefghijkl' +
      '&port=51413&uploaded=0&downloaded=0&left=1&compact=1&no_peer_id=1'
    expect(requests).toEqual([
      `/announce?${common}&numwant=200&key=01020304&event=started`,
      `/announce?${common}&numwant=0&key=01020304&event=stopped`,
    ])
  })

  test('headers: who we are, no connection kept, gzip only', async () => {
    let headers: unknown
    await announced((request, response) => {
      headers ??= request.headers
      response.end(GOOD)
    })
    expect(headers).toEqual({
      host: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      'user-agent': 'swarmatlas',
      'accept-encoding': 'gzip',
      connection: 'close',
    })
  })

  test.each<[string, Encodable]>([
    ['compact', { peers: encodeCompact(PEER), peers6: encodeCompact(PEER6) }],
    [
      'dictionaries',
      {
        peers: [
          { ip: '1.2.3.4', port: 6881 },
          { ip: '2001:db8:0::99', port: 6881, 'peer id': 'x'.repeat(20) },
        ],
      },
    ],
  ])('peers of both families, %s', async (_, dict) => {
    expect((await announced(answering(dict))).peers).toEqual([PEER, PEER6])
  })

  test('entries that are no endpoints are left out: names, ports out of range, no port, no dictionary', async () => {
    const ip = '1.2.3.4'
    const list = [
      { ip: 'evil.example', port: 80 },
      { ip, port: 65_536 },
      { ip, port: -1 },
      { ip },
      'x',
      { ip, port: 0 },
    ]
    const { observations } = await announced(answering({ peers: list }))
    expect(observations).toMatchObject([{ peer: { address: ip, port: 0 }, flags: ['suspect-port'] }])
  })

  test('ten thousand peers are cut', async () => {
    const peers = Buffer.concat(
      Array.from({ length: 10_000 }, (_, i) => encodeCompact({ address: `1.2.${i >> 8}.${i & 255}`, port: 6881 })),
    )
    expect((await announced(answering({ peers }))).report.peers).toBe(limits.trackerPeers)
  })

  test('gzip and chunks', async () => {
    const zipped = gzipSync(GOOD)
    const { report } = await announced((_, response) => {
      response.setHeader('Content-Encoding', 'gzip')
      response.write(zipped.subarray(0, 9))
      response.end(zipped.subarray(9))
    })
    expect(report).toMatchObject({ outcome: 'ok', peers: 1 })
  })

  test('a warning is told', async () => {
    const { report } = await announced(answering({ 'warning message': 'slow\u0007 down', interval: 60 }))
    expect(report).toMatchObject({ outcome: 'ok', detail: 'slow\ufffd down' })
  })

  test('the tracker id is echoed, byte by byte', async () => {
    const { requests } = await announced(answering({ interval: 60, 'tracker id': Uint8Array.from([0xff, 0x20]) }))
    expect(requests.map((request) => new URLSearchParams(request).has('trackerid'))).toEqual([false, true])
    expect(requests[1]).toContain('&trackerid=%ff%20')
  })

  test("a failure reason is a refusal in the tracker's words, without the passkey, and is owed no stopped", async () => {
    const { report, requests } = await announced((_, response) => {
      response.statusCode = 403
      response.end(encodeBencode({ 'failure reason': 'passkey 0123456789abcdef is banned', 'retry in': 5 }))
    }, '/0123456789abcdef/announce')
    expect(report).toMatchObject({ outcome: 'refused', detail: 'passkey … is banned' })
    expect(eventsOf(requests)).toEqual(['started'])
  })

  test('a redirect is followed, relative and absolute', async () => {
    await using target = await httpServer((_, response) => response.end(GOOD))
    const { report, requests } = await announced((request, response) => {
      const query = request.url?.split('?')[1]
      const next = request.url?.startsWith('/announce') ? '/second' : `${target.origin}/third`
      response.writeHead(302, { location: `${next}?${query}` }).end()
    })
    expect(report).toMatchObject({ outcome: 'ok', peers: 1 })
    expect(requests).toHaveLength(4)
    expect(eventsOf(target.requests)).toEqual(['started', 'stopped'])
  })
})

describe('where requests may go', () => {
  /** Names resolve as given; every dial is written down. */
  function watched(names: Record<string, string[]>): { host: Host; dials: string[]; lookups: string[] } {
    const host = nodeHost()
    const dials: string[] = []
    const lookups: string[] = []
    return {
      dials,
      lookups,
      host: {
        ...host,
        tcp: {
          ...host.tcp,
          connect(to, options) {
            dials.push(`${to.address}:${to.port}`)
            return host.tcp.connect(to, options)
          },
        },
        resolver: {
          async resolve(name) {
            lookups.push(name)
            return names[name] ?? [name]
          },
        },
      },
    }
  }

  test('a redirect to a private address is judged like the first URL: not followed, no connection made', async () => {
    await using server = await httpServer((_, response) =>
      response.writeHead(302, { location: 'http://internal.example:8080/admin' }).end(),
    )
    const port = Number(new URL(server.origin).port)
    const { host, dials, lookups } = watched({ 'tracker.example': ['127.0.0.1'], 'internal.example': ['10.0.0.1'] })
    // Loopback stands for a public address here; all else is judged strictly.
    const strict = createAddressPolicy({ clock: host.clock }, { profile: profiles.server })
    const lenient = createAddressPolicy({ clock: host.clock }, { profile: profiles.server, allowPrivate: true })
    const policyFor = (address: string) => (address === '127.0.0.1' ? lenient : strict)
    await using us = harness({
      host,
      addressPolicy: {
        ...strict,
        judge: (purpose, transport, to, claim) => policyFor(to.address).judge(purpose, transport, to, claim),
        admit: (purpose, transport, to, claim) => policyFor(to.address).admit(purpose, transport, to, claim),
        vouch() {},
      },
    })
    const { report } = await us.announce(`http://tracker.example:${port}/announce`)
    expect(report).toMatchObject({ outcome: 'forbidden', detail: expect.stringContaining('10.0.0.1:8080') })
    expect(dials).toEqual([`127.0.0.1:${port}`])
    expect(lookups).toEqual(['tracker.example', 'internal.example'])
  })

  test('the first URL too', async () => {
    const { host, dials } = watched({ 'tracker.example': ['127.0.0.1', '10.0.0.1'] })
    await using us = harness({ host, policy: { allowPrivate: false } })
    expect((await us.announce('http://tracker.example:8080/announce')).report.outcome).toBe('forbidden')
    expect(dials).toEqual([])
  })

  test('the second address is dialled when the first refuses; the name is resolved once', async () => {
    await using server = await httpServer((_, response) => response.end(GOOD))
    const port = Number(new URL(server.origin).port)
    const { host, dials, lookups } = watched({ 'tracker.example': ['127.0.0.9', '127.0.0.1'] })
    await using us = harness({ host })
    expect((await us.announce(`http://tracker.example:${port}/announce`)).report.outcome).toBe('ok')
    expect(dials).toEqual([`127.0.0.9:${port}`, `127.0.0.1:${port}`])
    expect(lookups).toEqual(['tracker.example'])
  })

  test('what is bound to one family asks that family only', async () => {
    const { host, dials } = watched({ 'tracker.example': ['::1'] })
    await using us = harness({ host, families: [4] })
    expect((await us.announce('http://tracker.example/announce')).report.outcome).toBe('unreachable')
    expect(dials).toEqual([])
  })
})

describe('scrape over HTTP (BEP 48)', () => {
  test('figures by hash; what the tracker leaves out is said', async () => {
    const key = Buffer.from(SWARM, 'hex')
    const files = new Map<string, Encodable>([[key.toString('latin1'), { complete: 5, incomplete: 7, downloaded: 6 }]])
    await using server = await httpServer(answering({ files }))
    await using us = harness()
    const reports = await us.client.scrape(`${server.origin}/announce.php?pass=1`, [SWARM, OTHER_SWARM], {
      signal: forever(),
    })
    expect(reports.get(SWARM)).toMatchObject({ outcome: 'ok', seeds: 5, leeches: 7, downloads: 6, peers: 0 })
    expect(reports.get(OTHER_SWARM)).toMatchObject({ outcome: 'ok', detail: 'the tracker does not know this torrent' })
    expect(server.requests).toEqual([
      `/scrape.php?pass=1&info_hash=%01%23Eg%89%ab%cd%ef%01%23Eg%89%ab%cd%ef%01%23Eg&info_hash=${'%ff'.repeat(20)}`,
    ])
  })

  test('many hashes go in several requests', async () => {
    await using server = await httpServer(answering({ files: {} }))
    await using us = harness()
    const swarms = Array.from({ length: 60 }, (_, i) => i.toString(16).padStart(40, '0') as InfoHash)
    await us.client.scrape(`${server.origin}/announce`, swarms, { signal: forever() })
    expect(server.requests.map((request) => request.split('info_hash').length - 1)).toEqual([50, 10])
  })

  test('a URL without a scrape form is not asked', async () => {
    await using us = harness()
    const reports = await us.client.scrape('http://127.0.0.1:1/tracker', [SWARM], { signal: forever() })
    expect(reports.get(SWARM)).toMatchObject({ outcome: 'not-tried', detail: 'its URL has no scrape form (BEP 48)' })
  })
})
