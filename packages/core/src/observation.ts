/** Observations: who told us of whom, when, over which channel. They are the facts; all else is derived from them. */
import { type Endpoint, endpointKey } from './endpoint.ts'
import type { InfoHash } from './infohash.ts'

export const channels = ['dht', 'tracker', 'pex', 'lsd', 'inbound', 'magnet'] as const
export type Channel = (typeof channels)[number]

/** Who said it. */
export type Teller =
  /** `id`: 40 hex digits, as the node's reply gave it. */
  | { readonly kind: 'dht-node'; readonly id: string; readonly endpoint: Endpoint }
  /** `url` without secrets (see redactUrl). */
  | { readonly kind: 'tracker'; readonly url: string }
  | { readonly kind: 'peer'; readonly endpoint: Endpoint }
  /** The user, through the target (`x.pe`), or ourselves. */
  | { readonly kind: 'self' }

/** What the teller's word means: it is connected to the peer (PEX added), stores it (DHT), lists it (tracker), or was merely named it. */
export type EdgeKind = 'connected' | 'stored' | 'listed' | 'named'

export function edgeKindOf(channel: Channel): EdgeKind {
  if (channel === 'pex') return 'connected'
  if (channel === 'dht') return 'stored'
  if (channel === 'tracker') return 'listed'
  return 'named'
}

/** PEX flags of an added peer (BEP 11). */
export interface PexFlags {
  readonly prefersEncryption: boolean
  readonly seed: boolean
  readonly utp: boolean
  readonly holepunch: boolean
  readonly reachable: boolean
}

export type ObservationFlag =
  /** Port 0 or 1, or a port that no peer listens on. */
  | 'suspect-port'
  /** The teller's client is known to give ports byte-swapped; the port was swapped back. */
  | 'swapped-port'
  /** The teller answered from another port of its address than the one asked. */
  | 'other-port'
  /** The teller's id is not the one by which it was named. */
  | 'other-id'
  /** PEX dropped: the teller is no longer connected to it. */
  | 'dropped'

export interface Observation {
  readonly atMs: number
  /** The wire hash it came by. */
  readonly swarm: InfoHash
  readonly channel: Channel
  readonly teller: Teller
  readonly peer: Endpoint
  readonly flags: readonly ObservationFlag[]
  readonly pex?: PexFlags
}

/** A text that is the same for the same teller: `dht <endpoint>`, `tracker <url>`, `peer <endpoint>`, `self`. */
export function tellerKey(teller: Teller): string {
  switch (teller.kind) {
    case 'dht-node':
      return `dht ${endpointKey(teller.endpoint)}`
    case 'tracker':
      return `tracker ${teller.url}`
    case 'peer':
      return `peer ${endpointKey(teller.endpoint)}`
    case 'self':
      return 'self'
  }
}
