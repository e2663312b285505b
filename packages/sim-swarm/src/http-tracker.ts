/** An HTTP tracker (BEP 3, 7, 23, 48) on the TCP seam, which Node's http server cannot listen on: one request a connection. */
import {
  type Encodable,
  type Endpoint,
  encodeBencode,
  encodeCompact,
  endpointKey,
  familyOf,
  type InfoHash,
  infoHashBytes,
  infoHashFromBytes,
  type Tcp,
  type TcpStream,
} from '@swarmatlas/core'
import { bounds } from './bounds.ts'
import { type Closers, destroyAll } from './closers.ts'
import type { SimCounters } from './counters.ts'
import type { TrackerList } from './tracker-list.ts'

/** Resolves with the announce URL. */
export async function openHttpTracker(
  { tcp, list, counters, closers }: { tcp: Tcp; list: TrackerList; counters: SimCounters; closers: Closers },
  { address }: { address: string },
): Promise<string> {
  const streams = new Set<TcpStream>()

  function onConnection(stream: TcpStream, from: Endpoint): void {
    streams.add(stream)
    stream.on('close', () => streams.delete(stream))
    stream.on('error', () => stream.destroy())
    let head = ''
    let answered = false
    stream.on('data', (chunk: Uint8Array) => {
      if (answered) return
      head += Buffer.from(chunk).toString('latin1')
      if (!head.includes('\r\n\r\n') && head.length <= bounds.httpRequestBytes) return
      answered = true
      const [method, target] = head.split(' ', 2)
      const body = method === 'GET' && target !== undefined ? respond(target, from) : undefined
      if (body === undefined) counters.trackerRefused++
      stream.end(body === undefined ? response('404 Not Found', Buffer.alloc(0)) : response('200 OK', body))
    })
  }

  function respond(target: string, from: Endpoint): Uint8Array | undefined {
    const [path, query = ''] = target.split('?', 2)
    const parameters = parseQuery(query)
    const answer =
      path === '/announce' ? announce(parameters, from) : path === '/scrape' ? scrape(parameters) : undefined
    return answer === undefined ? undefined : encodeBencode(answer)
  }

  function announce(parameters: Parameters, from: Endpoint): Encodable {
    const hash = hashesIn(parameters)[0]
    const port = Number(parameters.get('port')?.[0])
    if (hash === undefined || !Number.isInteger(port) || port < 1 || port > 65_535) return failure('invalid request')
    const numwant = parameters.get('numwant')?.[0]
    const answer = list.announce({
      hash,
      client: { address: from.address, port },
      left: Number(parameters.get('left')?.[0] ?? 1),
      stopped: parameters.get('event')?.[0] === 'stopped',
      numwant: numwant === undefined ? undefined : Number(numwant) || 0,
    })
    if (answer === undefined) return failure('unregistered torrent')
    return {
      interval: bounds.trackerIntervalS,
      'min interval': bounds.trackerMinIntervalS,
      complete: answer.complete,
      incomplete: answer.incomplete,
      peers: compactOf(answer.peers, 4),
      // BEP 7.
      peers6: compactOf(answer.peers, 6),
    }
  }

  function scrape(parameters: Parameters): Encodable {
    const files = new Map<string, Encodable>()
    for (const hash of hashesIn(parameters)) {
      const figures = list.scrape(hash)
      if (figures !== undefined) files.set(Buffer.from(infoHashBytes(hash)).toString('latin1'), { ...figures })
    }
    return { files }
  }

  function failure(reason: string): Encodable {
    return { 'failure reason': reason }
  }

  const listener = await tcp.listen({ address, port: 0, onConnection })
  closers.add(async () => {
    await Promise.all([destroyAll(streams), listener.close()])
  })
  return `http://${endpointKey(listener.local)}/announce`
}

function compactOf(peers: readonly Endpoint[], family: 4 | 6): Uint8Array {
  return Buffer.concat(peers.filter((peer) => familyOf(peer.address) === family).map(encodeCompact))
}

/** Values are bytes, as Latin-1: an info-hash is no UTF-8. */
type Parameters = ReadonlyMap<string, readonly string[]>

function parseQuery(query: string): Parameters {
  const parameters = new Map<string, string[]>()
  for (const pair of query.split('&')) {
    const [key = '', value = ''] = pair.split('=', 2)
    const decoded = value.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    parameters.set(key, [...(parameters.get(key) ?? []), decoded])
  }
  return parameters
}

function hashesIn(parameters: Parameters): InfoHash[] {
  return (parameters.get('info_hash') ?? [])
    .map((value) => Buffer.from(value, 'latin1'))
    .filter((bytes) => bytes.length === 20)
    .map(infoHashFromBytes)
}

function response(status: string, body: Uint8Array): Uint8Array {
  const head = [
    `HTTP/1.1 ${status}`,
    'Content-Type: text/plain',
    `Content-Length: ${body.length}`,
    'Connection: close',
    '\r\n',
  ]
  return Buffer.concat([Buffer.from(head.join('\r\n')), body])
}
