/** How a peer is dialled, by what is known of it. */
import type { InfoHash } from '@swarmatlas/core'
import type { DialHints } from '@swarmatlas/pex-harvester'
import type { PeerState, Swarm } from './swarm.ts'

/** The hash under which the peer was named; a hybrid's endpoint is dialled once, not per hash. */
export function wireHashFor(peer: PeerState, swarm: Swarm): InfoHash {
  return swarm.wireHashes.find((hash) => peer.swarms.has(hash)) ?? swarm.id
}

/** In which ways it may be reached. */
export function hintsOf({ pex, visit }: PeerState): DialHints {
  return {
    ...(pex && { prefersEncryption: pex.prefersEncryption, utp: pex.utp }),
    ...(visit?.handshaken && { worked: { transport: visit.transport, encryption: visit.encryption } }),
  }
}
