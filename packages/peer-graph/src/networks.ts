/**
 * What makes tellers independent (see core's evidence.ts), as numbers that need no address: of a peer the keyed hash of its
 * network, of a tracker the hash of its host; all DHT nodes are one, and so are we ourselves. 0 where nobody knows.
 */
import type { Endpoint } from '@swarmatlas/core'
import { crc32c } from './checksum.ts'
import type { Dictionary } from './dictionary.ts'
import { tellerOfId } from './schema.ts'
import type { StudyKey } from './study-key.ts'

const TRACKERS = 2 ** 41
const PEERS = 2 ** 42

/** The network of each teller id. `tokens`: of those that are peers, 0 where unknown. */
export async function networksOf(ids: Float64Array, tokens: Float64Array, trackers: Dictionary): Promise<Float64Array> {
  const networks = new Float64Array(ids.length)
  for (let i = 0; i < ids.length; i++) {
    const { kind, number } = tellerOfId(ids[i] as number)
    if (kind === 'dht-node') networks[i] = 1
    else if (kind === 'self') networks[i] = 2
    else if (kind === 'tracker') networks[i] = TRACKERS + hostHash((await trackers.text(number)) ?? '')
    else networks[i] = tokens[i] === 0 ? 0 : PEERS + (tokens[i] as number)
  }
  return networks
}

/** Of tellers that are peers and whose addresses are known. */
export function tokensOf(
  ids: Float64Array,
  addresses: ReadonlyMap<number, { readonly endpoint: Endpoint }>,
  key: StudyKey,
): Float64Array {
  return ids.map((id) => {
    const { kind, number } = tellerOfId(id)
    const entry = kind === 'peer' ? addresses.get(number) : undefined
    return entry === undefined ? 0 : key.networkToken(entry.endpoint.address)
  })
}

function hostHash(url: string): number {
  const host = /^[a-z]+:\/\/(\[[^\]]*\]|[^:/?#]*)/i.exec(url)?.[1]?.toLowerCase() ?? url
  return crc32c(Buffer.from(host, 'utf8'))
}
