/**
 * Rows as a graph: a node for each peer of each swarm and for each teller in it, an edge for each row of edges. A peer is
 * an endpoint in a swarm, so one that is in two swarms is two nodes, which share the attribute `peer`.
 */
import type { RowWriter } from './format.ts'
import { type Column, columnsOf, type Detail, type Row, type Value } from './tables.ts'

export interface GraphNode {
  readonly id: string
  readonly label: string
  /** By the columns of `nodeColumns`. */
  readonly attributes: Row
}

export interface GraphLink {
  readonly id: string
  readonly source: string
  readonly target: string
  /** By the columns of `linkColumns`. */
  readonly attributes: Row
}

const nodeKind: Column = {
  name: 'nodeKind',
  type: 'string',
  values: ['peer', 'dht-node', 'tracker', 'self'],
  means: 'What the node is.',
}

export function nodeColumns(detail: Detail): Column[] {
  return [nodeKind, ...columnsOf('peers', detail)]
}

export function linkColumns(detail: Detail): Column[] {
  return columnsOf('edges', detail).filter(({ name }) => name !== 'teller' && name !== 'peer')
}

export interface GraphSink {
  node(node: GraphNode): Promise<void> | undefined
  link(link: GraphLink): Promise<void> | undefined
  end(): Promise<void>
}

/** Rows come swarm by swarm, peers before edges. */
export function graphRows(sink: GraphSink): RowWriter {
  let swarm: Value = null
  let known = new Set<string>()
  let links = 0
  return {
    write(table, row) {
      if (table !== 'peers' && table !== 'edges') return undefined
      if (row.swarm !== swarm) {
        swarm = row.swarm ?? null
        known = new Set()
      }
      const idOf = (name: Value | undefined) => `${String(swarm).slice(0, 12)} ${name}`
      if (table === 'peers') {
        const id = idOf(row.peer)
        known.add(id)
        return sink.node({ id, label: labelOf(row.peer), attributes: { nodeKind: 'peer', ...row } })
      }
      const source = idOf(row.teller)
      const link = { id: String(links++), source, target: idOf(row.peer), attributes: row }
      if (known.has(source)) return sink.link(link)
      known.add(source)
      const { teller = null, tellerKind = null } = row
      const node = {
        id: source,
        label: labelOf(teller),
        attributes: {
          nodeKind: tellerKind,
          swarm,
          peer: tellerKind === 'peer' || tellerKind === 'dht-node' ? teller : null,
        },
      }
      return inTurn(sink.node(node), () => sink.link(link))
    },
    end: () => sink.end(),
  }
}

async function inTurn(first: Promise<void> | undefined, next: () => Promise<void> | undefined): Promise<void> {
  await first
  await next()
}

/** Pseudonyms are long: their first digits tell nodes apart in a picture. */
function labelOf(name: Value | undefined): string {
  const text = String(name)
  return /^[0-9a-f]{32}$/.test(text) ? text.slice(0, 8) : text
}
