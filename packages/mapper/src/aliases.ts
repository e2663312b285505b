/**
 * Aliases: endpoints that are another name of a peer already known, so that nobody is counted twice. rTorrent's DHT
 * nodes give ports byte-swapped; such an endpoint is recognised when the same address is known at the swapped port too
 * and nothing but hearsay speaks for this one.
 */
import { type Endpoint, endpointKey } from '@swarmatlas/core'
import type { PeerState } from './swarm.ts'

export interface Alias extends Endpoint {
  readonly why: 'swapped-port' | 'source-port'
}

export interface CountedPeer {
  readonly peer: PeerState
  readonly alsoAt: readonly Alias[]
}

function swappedPort({ address, port }: Endpoint): Endpoint {
  return { address, port: ((port & 0xff) << 8) | (port >> 8) }
}

/** The peers to count, aliases folded into the peer that they stand for, our own endpoint left out. */
export function countedPeers(
  peers: ReadonlyMap<string, PeerState>,
  isOwn: (endpoint: Endpoint) => boolean,
): CountedPeer[] {
  const aliases = new Map<PeerState, Alias[]>()
  const counted: PeerState[] = []
  for (const peer of peers.values()) {
    if (isOwn(peer.endpoint)) continue
    const other = peers.get(endpointKey(swappedPort(peer.endpoint)))
    if (other !== undefined && other !== peer && isSwappedName(peer, other)) {
      const { address, port } = peer.endpoint
      aliases.set(other, [...(aliases.get(other) ?? []), { address, port, why: 'swapped-port' }])
    } else {
      counted.push(peer)
    }
  }
  return counted.map((peer) => {
    const alsoAt = aliases.get(peer) ?? []
    // A port that was swapped back has a false name that others may still print.
    if (peer.flags.has('swapped-port') && alsoAt.length === 0) {
      return { peer, alsoAt: [{ ...swappedPort(peer.endpoint), why: 'swapped-port' }] }
    }
    return { peer, alsoAt }
  })
}

/** `peer` is a false name of `other`: only the DHT named it, nobody answered there, and the other has more to show. */
function isSwappedName(peer: PeerState, other: PeerState): boolean {
  const heardOnly = [...peer.channels].every((channel) => channel === 'dht') && peer.visit?.opened !== true
  const stronger = other.visit?.opened === true || [...other.channels].some((channel) => channel !== 'dht')
  return heardOnly && stronger
}
