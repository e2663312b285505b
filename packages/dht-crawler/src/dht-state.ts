/** What a session hands on to the next: our ids, the routing tables, and who did not answer. Plain JSON. */
import { type Endpoint, endpointKey, type Family, limits, parseEndpoint } from '@swarmatlas/core'
import type { DhtSide } from './lookup/peer-search.ts'
import type { UnansweredNode } from './node-book.ts'

export interface DhtState {
  readonly version: 1
  /** 40 hex digits by family. */
  readonly ids: { readonly [family: string]: string }
  readonly nodes: readonly string[]
  readonly unanswered: readonly UnansweredNode[]
}

export function stateOf(sides: readonly DhtSide[]): DhtState {
  return {
    version: 1,
    ids: Object.fromEntries(sides.map(({ family, socket }) => [String(family), socket.id.toString('hex')])),
    nodes: sides.flatMap(({ table }) => table.nodes().map(({ endpoint }) => endpointKey(endpoint))),
    unanswered: sides.flatMap(({ socket }) => socket.unanswered()),
  }
}

export interface SavedState {
  id(family: Family): Buffer | undefined
  readonly nodes: readonly Endpoint[]
  readonly unanswered: readonly UnansweredNode[]
}

/** Reads what may have been damaged or written by a later version: what is not understood is left out. */
export function readState(state: unknown): SavedState {
  const { version, ids, nodes, unanswered } = (isRecord(state) ? state : {}) as Record<string, unknown>
  const understood = version === 1
  return {
    id(family) {
      const text = understood && isRecord(ids) ? ids[family] : undefined
      return typeof text === 'string' && /^[0-9a-f]{40}$/.test(text) ? Buffer.from(text, 'hex') : undefined
    },
    nodes: listOf(understood && nodes).flatMap((text) => (typeof text === 'string' ? (parseEndpoint(text) ?? []) : [])),
    unanswered: listOf(understood && unanswered).filter(isUnanswered),
  }
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value.slice(0, limits.dhtNodeBook) : []
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function isUnanswered(value: unknown): value is UnansweredNode {
  return isRecord(value) && typeof value.endpoint === 'string' && typeof value.atMs === 'number'
}
