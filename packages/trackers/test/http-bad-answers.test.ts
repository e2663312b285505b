import type { RequestListener } from 'node:http'
import { gzipSync } from 'node:zlib'
import { type Encodable, encodeBencode, limits } from '@swarmatlas/core'
import { createSimNetwork, leakCheck, withVirtualTime } from '@swarmatlas/testkit'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readAnnounceResponse, readScrapeResponse } from '../src/http-replies.ts'
import { announced, answering, GOOD } from './fake-http-tracker.ts'
import { harness, httpServer, SWARM } from './harness.ts'

describe('bad answers, each an outcome in words', () => {
  const html = '<!DOCTYPE html><html><body>Parked</body></html>'
  test.each<[string, RequestListener, string, string | RegExp]>([
    [
      'a web page',
      (_, r) => r.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(html),
      'bad-message',
      'answered with a web page (text/html), not with bencode',
    ],
    [
      'a web page that says it is text',
      (_, r) => r.end(`\n${html}`),
      'bad-message',
      'answered with a web page (text/html), not with bencode',
    ],
    ['404', (_, r) => r.writeHead(404).end('d5:peers0:e'), 'bad-message', 'answered with HTTP 404 Not Found'],
    ['503', (_, r) => r.writeHead(503).end(html), 'bad-message', 'answered with HTTP 503 Service Unavailable'],
    ['an unknown status', (_, r) => r.writeHead(799).end(), 'bad-message', /HTTP 799/],
    ['nothing', (_, r) => r.end(), 'bad-message', /no bencoded dictionary/],
    ['a bencoded list', answering([1]), 'bad-message', /no bencoded dictionary/],
    ['an empty dictionary', answering({}), 'bad-message', /neither peers nor an interval/],
    [
      'a redirect loop',
      (q, r) => r.writeHead(301, { location: q.url }).end(),
      'bad-message',
      'redirected more than 3 times',
    ],
    [
      'a redirect to udp',
      (_, r) => r.writeHead(301, { location: 'udp://1.2.3.4:80' }).end(),
      'bad-message',
      'redirected to a udp URL',
    ],
    [
      'a redirect to a file',
      (_, r) => r.writeHead(301, { location: 'file:///etc/passwd' }).end(),
      'bad-message',
      /redirected to no tracker URL/,
    ],
    [
      'a redirect to nowhere',
      (_, r) => r.writeHead(301, { location: 'http://[' }).end(),
      'bad-message',
      /redirected to no tracker URL/,
    ],
    [
      'a gzip bomb',
      (_, r) => r.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(50_000_000))),
      'bad-message',
      'answered with more than 1048576 bytes',
    ],
    ['10 MB', (_, r) => r.end(Buffer.alloc(10_000_000)), 'bad-message', 'answered with more than 1048576 bytes'],
    [
      'broken gzip',
      (_, r) => r.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(GOOD).subarray(0, 20)),
      'bad-message',
      /compressed answer is broken/,
    ],
    [
      'an encoding not asked for',
      (_, r) => r.writeHead(200, { 'content-encoding': 'br' }).end('x'),
      'bad-message',
      /\(br\)/,
    ],
    [
      'a cut body',
      (_, r) => {
        r.writeHead(200, { 'content-length': '500' }).write('d8:')
        setImmediate(() => r.destroy())
      },
      'reset',
      'closed the connection before its answer was complete',
    ],
    ['a closed connection', (_, r) => r.destroy(), 'reset', 'closed the connection before its answer was complete'],
    ['no HTTP', (_, r) => r.socket?.end('SSH-2.0-OpenSSH_9.6\r\n'), 'bad-message', /does not speak HTTP/],
    [
      'an upgrade',
      (_, r) => r.socket?.end('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
      'reset',
      /closed the connection/,
    ],
    [
      'endless headers',
      (_, r) => r.socket?.end(`HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(50_000)}`),
      'bad-message',
      /does not speak HTTP/,
    ],
  ])('%s', async (_name, listener, outcome, detail) => {
    await using _ = leakCheck()
    const { report, peers } = await announced(listener)
    expect(report).toMatchObject({ outcome, detail: detail instanceof RegExp ? expect.stringMatching(detail) : detail })
    expect(peers).toEqual([])
  })

  test('nobody listens', async () => {
    const server = await httpServer(() => {})
    await server[Symbol.asyncDispose]()
    await using us = harness()
    expect((await us.announce(`${server.origin}/announce`)).report.outcome).toBe('refused')
  })

  test('a server that hangs; abort ends an exchange at once', async () => {
    await using _ = leakCheck()
    await using server = await httpServer((request, response) => {
      if (request.url?.includes('event=stopped')) response.end(GOOD)
    })
    await using us = harness()
    const abort = new AbortController()
    const announce = us.client.announce(`${server.origin}/announce`, SWARM, { left: 1, signal: abort.signal })
    while (server.requests.length === 0) await new Promise((next) => setImmediate(next))
    abort.abort(new Error('Ctrl-C'))
    await expect(announce).rejects.toThrow('Ctrl-C')
  })

  test('a server that says nothing for 10 s is given up', async () => {
    await withVirtualTime({ seed: 1 }, async ({ elapsedMs }) => {
      const network = createSimNetwork({ seed: 1 })
      await network.host('10.0.0.2').tcp.listen({ address: '10.0.0.2', port: 80, onConnection() {} })
      const us = harness({ host: network.host('10.0.0.1') })
      const { report } = await us.announce('http://10.0.0.2/announce')
      expect(report).toMatchObject({ outcome: 'timeout', detail: 'no answer within 10 s' })
      expect(elapsedMs()).toBeLessThan(limits.trackerHttpTimeoutMs + 1_000)
      await us.client.close()
    })
  })
})

test('no body can throw', () => {
  const meter = { count() {} }
  const value = fc.letrec<{ value: Encodable }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.maxSafeInteger(),
      fc.uint8Array({ maxLength: 40 }),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.constantFrom('ip', 'port', 'complete', SWARM), tie('value')),
    ),
  })).value
  const keys = [
    'peers',
    'peers6',
    'interval',
    'min interval',
    'tracker id',
    'failure reason',
    'retry in',
    'warning message',
    'files',
    'complete',
  ]
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.dictionary(fc.constantFrom(...keys), value).map((dict) => encodeBencode(dict)),
  )
  fc.assert(
    fc.property(body, fc.integer({ min: 100, max: 999 }), (bytes, status) => {
      const response = { status, contentType: '', retryAfterS: undefined, body: bytes }
      readAnnounceResponse(response, meter)
      readScrapeResponse(response, [SWARM])
    }),
  )
})
