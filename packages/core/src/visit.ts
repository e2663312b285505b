/** A visit: one attempt to talk to a peer, and all that it said of itself. Failures are outcomes, not errors. */
import type { Endpoint } from './endpoint.ts'
import type { InfoHash } from './infohash.ts'

/** How an attempt to reach somebody ended. */
export type Outcome =
  | 'ok'
  | 'timeout'
  | 'refused'
  | 'reset'
  | 'unreachable'
  | 'bad-message'
  | 'over-budget'
  | 'forbidden'
  | 'not-tried'

export type Role = 'seed' | 'leech' | 'partial'

export interface Visit {
  readonly atMs: number
  readonly swarm: InfoHash
  readonly peer: Endpoint
  readonly outcome: Outcome
  /** In words, for logs: what was bad, who refused. */
  readonly detail?: string
  /** A transport opened (TCP connected), whatever came after. */
  readonly opened: boolean
  /** The peer answered with our info-hash and a peer id. */
  readonly handshaken: boolean
  /** It answered with another info-hash, or closed after our handshake on every transport, plain and encrypted. */
  readonly refuted: boolean
  /** Connections tried, one transport after another; undefined: one. */
  readonly attempts?: number
  /** Those of the attempt that is told of: the one that worked, else the first that opened. */
  readonly transport: 'tcp' | 'utp'
  readonly encryption: 'plain' | 'mse'
  /** 40 hex digits. */
  readonly peerId?: string
  /** The name it gives itself (`v`, BEP 10), else what its peer id says; control characters stripped. */
  readonly client?: string
  readonly role?: Role
  /** Share of pieces it has, 0..1; known only when the piece count is. */
  readonly progress?: number
  /** `p` of its extension handshake: its listening port. */
  readonly listenPort?: number
  readonly metadataSize?: number
  /** Its `m` names ut_pex (BEP 11). */
  readonly speaksPex?: boolean
  /** The address it sees us at (`yourip`, BEP 10). */
  readonly yourIp?: string
  /** Peers it named over PEX. */
  readonly pexAdded: number
  readonly durationMs: number
  readonly bytesIn: number
  readonly bytesOut: number
}
