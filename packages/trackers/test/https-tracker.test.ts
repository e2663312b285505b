import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createTlsServer, type Server } from 'node:https'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeBencode } from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { leakCheck } from '@swarmatlas/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventsOf, harness } from './harness.ts'

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** `tracker.example` is this machine. */
const host = { ...nodeHost(), resolver: { resolve: async () => ['127.0.0.1'] } }

describe.skipIf(!hasOpenssl())('announce over HTTPS', () => {
  let directory = ''
  let certificate = ''
  let server: Server
  let port = 0
  const requests: string[] = []

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'swarmatlas-tls-'))
    const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
    const args = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=tracker.example'
    execFileSync(
      'openssl',
      [...args.split(' '), '-addext', 'subjectAltName=DNS:tracker.example,IP:127.0.0.1', '-keyout', key, '-out', cert],
      { stdio: 'ignore' },
    )
    certificate = readFileSync(cert, 'utf8')
    server = createTlsServer({ key: readFileSync(key), cert: certificate }, (request, response) => {
      requests.push(request.url ?? '')
      response.end(encodeBencode({ interval: 60 }))
    })
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    port = (server.address() as AddressInfo).port
  })

  afterAll(async () => {
    server.closeAllConnections()
    await new Promise((closed) => server.close(closed))
    rmSync(directory, { recursive: true })
  })

  test.each(['tracker.example', '127.0.0.1'])('with a certificate that is trusted, for %s', async (name) => {
    await using _ = leakCheck()
    requests.length = 0
    const us = harness({ host, ca: [certificate] })
    expect((await us.announce(`https://${name}:${port}/announce`)).report).toMatchObject({
      outcome: 'ok',
      intervalS: 60,
    })
    await us.client.close()
    expect(eventsOf(requests)).toEqual(['started', 'stopped'])
  })

  test.each([
    ['signed by nobody we trust', 'tracker.example', false, /certificate cannot be verified: self-signed/],
    ['for another name', 'other.example', true, /certificate cannot be verified: .*altnames/],
  ])('a certificate %s: an outcome in words, and nothing was announced', async (_, name, trusted, detail) => {
    requests.length = 0
    const us = harness({ host, ...(trusted ? { ca: [certificate] } : {}) })
    const { report } = await us.announce(`https://${name}:${port}/announce?passkey=0123456789abcdef`)
    expect(report).toMatchObject({ outcome: 'bad-message', detail: expect.stringMatching(detail) })
    await us.client.close()
    expect(requests).toEqual([])
  })

  test.each<[string, string, string | RegExp]>([
    ['plain HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n', /^TLS fails/],
    ['a closed door', '', 'closed the connection before its answer was complete'],
  ])('where https is named but %s answers', async (_, reply, detail) => {
    const plain = createServer(
      (socket) =>
        void socket
          .on('error', () => {})
          .resume()
          .end(reply),
    )
    await new Promise<void>((listening) => plain.listen(0, '127.0.0.1', listening))
    await using us = harness({ host })
    const url = `https://tracker.example:${(plain.address() as AddressInfo).port}/announce`
    expect((await us.announce(url)).report.detail).toMatch(detail)
    await new Promise((closed) => plain.close(closed))
  })
})
