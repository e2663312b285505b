/** What k-rpc expects of a k-rpc-socket, as far as it and bittorrent-dht use it, and what we add to it. */
import type { EventEmitter } from 'node:events'
import type { Endpoint, Purpose, Refusal } from '@swarmatlas/core'
import type { Contact, KrpcQuery, KrpcResponse } from './krpc.ts'

/** A node as k-rpc passes it around. */
export interface KrpcPeer {
  readonly id?: Buffer | null
  readonly host?: string
  readonly address?: string
  readonly port: number
  /** `dht` when undefined. */
  readonly purpose?: Purpose
}

/** What k-rpc and its callers get to see of a reply. */
export interface KrpcAnswer {
  readonly r: { readonly id: Buffer; readonly nodes: Buffer }
  /** The nodes of `r.nodes`. */
  readonly contacts: readonly Contact[]
}

/** k-rpc takes a node from its table when a query to it fails with `ETIMEDOUT` or `EUNEXPECTEDNODE`. */
export class QueryFailure extends Error {
  readonly code: string | number
  /** Set when nothing was sent. */
  readonly refusal: Refusal | undefined

  constructor(code: string | number, refusal?: Refusal) {
    super(refusal === undefined ? `query failed: ${code}` : `query refused: ${refusal.reason}`)
    this.code = code
    this.refusal = refusal
  }
}

export type QueryCallback = (error: QueryFailure | null, answer: KrpcAnswer | null, peer: KrpcPeer) => void

/** Who watches the traffic, query by query. */
export interface KrpcWatcher {
  /** False: the query fails unsent. */
  wants(query: KrpcQuery): boolean
  sent(query: KrpcQuery): void
  /** Late replies come here, too. */
  replied(query: KrpcQuery, response: KrpcResponse, from: Endpoint): void
}

export interface KrpcSocket extends EventEmitter {
  /** Queries without an outcome yet; k-rpc keeps this below its `concurrency`. */
  readonly inflight: number
  readonly sendErrors: number
  readonly lastSendError: string | undefined
  query(peer: KrpcPeer, query: KrpcQuery, callback?: QueryCallback): void
  /** Queries that match fail with `ECANCELED`; what was sent can still be answered, to the good of table and timeout. */
  cancel(matches: (query: KrpcQuery) => boolean): void
  address(): Endpoint
  /** The socket is open already: only says so (`listening`). */
  bind(): void
  destroy(done?: () => void): void
}
