/** A tracker over HTTP that answers as told, and what one announce to it comes to. */
import type { RequestListener } from 'node:http'
import { type Encodable, type Endpoint, encodeBencode, encodeCompact } from '@swarmatlas/core'
import type { AnnounceResult } from '../src/index.ts'
import { harness, httpServer } from './harness.ts'

export const PEER: Endpoint = { address: '1.2.3.4', port: 6881 }
export const GOOD: Uint8Array = encodeBencode({
  interval: 1800,
  complete: 2,
  incomplete: 3,
  peers: encodeCompact(PEER),
})

export function answering(dict: Encodable): RequestListener {
  return (_, response) => response.end(encodeBencode(dict))
}

/** What one announce to this server comes to, and what the server saw until we left. */
export async function announced(
  listener: RequestListener,
  path = '/announce',
): Promise<AnnounceResult & { requests: readonly string[]; peers: Endpoint[] }> {
  await using server = await httpServer(listener)
  const us = harness()
  const result = await us.announce(server.origin + path)
  await us.client.close()
  return { ...result, requests: server.requests, peers: result.observations.map(({ peer }) => peer) }
}
