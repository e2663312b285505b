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

/** What a peer says it can do. */
export interface Census {
  /** The reserved bytes of its handshake: 16 hex digits. */
  readonly reserved: string
  /** What it switches on in `m` (BEP 10), sorted; control characters stripped. ut_holepunch (BEP 55) stands here. */
  readonly extensions?: readonly string[]
  /** Requests that it lets wait (`reqq`). */
  readonly reqq?: number
  /** `e`. */
  readonly prefersEncryption?: boolean
  /** BEP 21. */
  readonly uploadOnly?: boolean
  /** Seconds since it had all pieces (`complete_ago` of libtorrent). */
  readonly completeAgoS?: number
}

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
  /** Its own addresses, as it says (`ipv4`, `ipv6`, BEP 10). */
  readonly ipv4?: string
  readonly ipv6?: string
  /** Set with every handshake. */
  readonly census?: Census
  /** Peers it named over PEX. */
  readonly pexAdded: number
  readonly durationMs: number
  readonly bytesIn: number
  readonly bytesOut: number
}
