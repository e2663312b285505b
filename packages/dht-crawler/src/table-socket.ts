/**
 * What k-rpc expects of a k-rpc-socket, as far as the upkeep of bittorrent-dht's table uses it (see ADR 0002 and 0006):
 * its pings and find_nodes go out by our socket, and it hears of nodes that answered, nothing else. It never gets a
 * `query` event, where one packet ends the process.
 */
import { EventEmitter } from 'node:events'
import { type Clock, canonicalAddress, type Endpoint } from '@swarmatlas/core'
import type { KrpcQuery } from './krpc-encode.ts'
import { askPatiently, isSound, type PatientOutcome } from './patient-query.ts'
import type { QuerySocket } from './query-socket.ts'

/** A node as k-rpc passes it around. */
export interface TablePeer {
  readonly id?: Buffer | null
  readonly host?: string
  readonly address?: string
  readonly port: number
}

export interface TableQuery {
  readonly q: string
  readonly a?: { readonly target?: Buffer }
}

/** k-rpc takes a node from its table when a query to it fails with `ETIMEDOUT` or `EUNEXPECTEDNODE`. */
class QueryFailure extends Error {
  readonly code: string | number
  constructor(code: string | number) {
    super(`query failed: ${code}`)
    this.code = code
  }
}

export type TableCallback = (
  error: QueryFailure | null,
  answer: { r: { id: Buffer; nodes: Buffer } } | null,
  peer: TablePeer,
) => void

export interface TableSocket extends EventEmitter {
  /** k-rpc keeps this below its `concurrency`. */
  readonly inflight: number
  /** Passed on to k-rpc, which puts the node into the table. */
  answered(id: Buffer, endpoint: Endpoint): void
  query(peer: TablePeer, query: TableQuery, callback?: TableCallback): void
  address(): Endpoint
  /** The socket is open already: only says so (`listening`). */
  bind(): void
  destroy(done?: () => void): void
}

export function createTableSocket(components: { socket: QuerySocket; clock: Clock }, signal: AbortSignal): TableSocket {
  return new UpkeepSocket(components, signal)
}

class UpkeepSocket extends EventEmitter implements TableSocket {
  inflight = 0
  readonly #components: { socket: QuerySocket; clock: Clock }
  readonly #signal: AbortSignal

  constructor(components: { socket: QuerySocket; clock: Clock }, signal: AbortSignal) {
    super()
    this.#components = components
    this.#signal = signal
  }

  answered(id: Buffer, { address, port }: Endpoint): void {
    this.emit('response', { r: { id } }, { address, host: address, port })
  }

  query(peer: TablePeer, query: TableQuery, callback: TableCallback = () => {}): void {
    this.inflight++
    this.#ask(peer, query).then((outcome) => {
      this.inflight--
      if (isSound(outcome)) {
        const { id, nodes } = outcome.response
        callback(null, { r: { id, nodes } }, peer)
      } else {
        callback(new QueryFailure(failureCode(outcome)), null, peer)
      }
      this.emit('update')
      this.emit('postupdate')
    })
  }

  async #ask({ id, host, address = host, port }: TablePeer, asked: TableQuery): Promise<PatientOutcome> {
    const canonical = canonicalAddress(address ?? '')
    const query = queryOf(asked)
    if (canonical === undefined || query === undefined) return { kind: 'cancelled' }
    const to = { address: canonical, port }
    return await askPatiently(this.#components, { to, expectedId: id ?? undefined, query }, this.#signal)
  }

  address(): Endpoint {
    return this.#components.socket.local
  }

  bind(): void {
    queueMicrotask(() => this.emit('listening'))
  }

  // The socket is the crawler's to close.
  destroy(done: () => void = () => {}): void {
    queueMicrotask(done)
  }
}

function queryOf({ q, a }: TableQuery): KrpcQuery | undefined {
  if (q === 'ping') return { method: 'ping' }
  return q === 'find_node' && a?.target?.length === 20 ? { method: 'find_node', target: a.target } : undefined
}

function failureCode(outcome: PatientOutcome): string | number {
  if (outcome.kind === 'answer') return 'EUNEXPECTEDNODE'
  if (outcome.kind === 'lost') return 'ETIMEDOUT'
  return outcome.kind === 'error' ? outcome.code : 'ECANCELED'
}
