/** What a visit takes and what it tells while it lasts; its outcome is core's Visit. */
import type { Claim, Endpoint, InfoHash, Observation, Visit } from '@swarmatlas/core'

export interface HarvesterOptions {
  /** 20 bytes. */
  peerId: Uint8Array
  /** Our honest `v` (BEP 10). */
  clientName: string
  /** What may be spoken; undefined: all. uTP also needs its component. */
  transports?: readonly Visit['transport'][]
  encryptions?: readonly Visit['encryption'][]
  /** Where we listen for peers, which is then said to them (`p` of BEP 10). */
  listenPort?: number | undefined
}

/** What is known of how a peer can be reached; hearsay, so that it orders the attempts and forbids none. */
export interface DialHints {
  /** It is said to prefer encryption, or to speak uTP (PEX flags 0x01 and 0x04 of BEP 11). */
  readonly prefersEncryption?: boolean
  readonly utp?: boolean
  /** How an earlier visit reached it. */
  readonly worked?: Pick<Visit, 'transport' | 'encryption'>
}

export interface VisitOptions {
  swarm: InfoHash
  signal: AbortSignal
  /** How well the endpoint is founded, for the address policy. */
  claim: Claim
  hints?: DialHints
  /** Life of the session after its transport opened, at most limits.sessionStayCeilingMs; only metadata under way extends it. */
  stayMs: number
  /** While true (BEP 27): no DHT bit, no PEX. May turn true during the visit. */
  private: () => boolean
  /** Asked before each request; when it turns false fetching stops. */
  wantsMetadata: () => boolean
  /** Undefined until metadata is verified. */
  pieceCount: () => number | undefined
  /** The verified info dictionary, for those who ask for it; undefined: none is offered. */
  metadata?: () => Uint8Array | undefined
}

export type SessionEvent =
  | { readonly type: 'opened'; readonly atMs: number }
  /** `peerId`: 40 hex digits. */
  | { readonly type: 'handshaken'; readonly atMs: number; readonly peerId: string }
  | { readonly type: 'observation'; readonly observation: Observation }
  /** Verified against the swarm's hash. */
  | { readonly type: 'metadata'; readonly bytes: Uint8Array }
  /** The peer's metadata is false, or larger than limits.metadataBytes. */
  | { readonly type: 'metadata-rejected'; readonly problem: string }
  /** The peer runs a DHT node there (PORT, BEP 5). */
  | { readonly type: 'dht-node'; readonly endpoint: Endpoint }
