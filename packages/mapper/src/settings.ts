/** What a round is asked to do. */
import type { Profile } from '@swarmatlas/core'

export type MapperChannel = 'dht' | 'tracker' | 'pex'
export type Depth = 'quick' | 'thorough'

export interface RoundSettings {
  readonly channels: readonly MapperChannel[]
  readonly depth: Depth
  readonly profile: Profile
  /** The longest a wire session may last, milliseconds. */
  readonly stayMs: number
  /** False: trackers are scraped only, which lists us nowhere but gives no peers. */
  readonly announce: boolean
  /** Private torrents (BEP 27) are refused without it: an unlisted client can cost the user his account. */
  readonly privateOk: boolean
  /** Undefined: nobody can call us. */
  readonly listen?: ListenSettings | undefined
}

export interface ListenSettings {
  /** TCP and UDP, and the port that trackers are told; 0 lets the system choose. */
  readonly port: number
  /** Connections at once; undefined: limits.inboundConnections. */
  readonly connections?: number | undefined
  /** A torrent is listened for until nobody new has called for so long; undefined: limits.inboundQuietMs. */
  readonly quietMs?: number | undefined
}
