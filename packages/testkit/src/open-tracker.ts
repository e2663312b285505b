/** An HTTP tracker (BEP 3, 23) that takes every torrent and remembers who announced what: for real clients. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  type Encodable,
  type Endpoint,
  encodeBencode,
  encodeCompact,
  endpointKey,
  type InfoHash,
} from '@swarmatlas/core'

export interface OpenTracker extends AsyncDisposable {
  /** The announce URL. */
  readonly url: string
  /** endpointKeys of those who announced last that they have everything. */
  seeds(hash: InfoHash): string[]
}

interface Announced {
  readonly endpoint: Endpoint
  readonly left: number
}

const INTERVAL_S = 60

export async function startOpenTracker({ address }: { address: string }): Promise<OpenTracker> {
  const swarms = new Map<string, Map<string, Announced>>()

  function announce(query: ReadonlyMap<string, string>, from: string): Encodable {
    const hash = Buffer.from(query.get('info_hash') ?? '', 'latin1').toString('hex')
    const endpoint = { address: from, port: Number(query.get('port')) }
    if (hash.length !== 40 || !(endpoint.port > 0)) return { 'failure reason': 'invalid request' }
    const swarm = swarms.get(hash) ?? new Map<string, Announced>()
    swarms.set(hash, swarm)
    const key = endpointKey(endpoint)
    if (query.get('event') === 'stopped') swarm.delete(key)
    else swarm.set(key, { endpoint, left: Number(query.get('left') ?? 1) })
    const peers = [...swarm.values()]
    return {
      interval: INTERVAL_S,
      complete: peers.filter(({ left }) => left === 0).length,
      incomplete: peers.filter(({ left }) => left > 0).length,
      peers: Buffer.concat(peers.map((peer) => encodeCompact(peer.endpoint))),
    }
  }

  const server = createServer((request, response) => {
    const [path, query = ''] = (request.url ?? '').split('?', 2)
    if (path === '/announce') response.end(encodeBencode(announce(parse(query), request.socket.remoteAddress ?? '')))
    else response.writeHead(404).end()
  })
  server.listen(0, address)
  await once(server, 'listening')
  return {
    url: `http://${address}:${(server.address() as AddressInfo).port}/announce`,
    seeds(hash) {
      const all = [...(swarms.get(hash)?.entries() ?? [])]
      return all.filter(([, { left }]) => left === 0).map(([key]) => key)
    },
    async [Symbol.asyncDispose]() {
      if (!server.listening) return
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Values are bytes, as Latin-1: an info-hash is no UTF-8. */
function parse(query: string): Map<string, string> {
  const pairs = query.split('&').map((pair) => pair.split('=', 2))
  return new Map(pairs.map(([key = '', value = '']) => [key, unescapeBytes(value)]))
}

function unescapeBytes(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
