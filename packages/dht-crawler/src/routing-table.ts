/** The routing tables: bittorrent-dht's own for IPv4, with its upkeep; for IPv6 the k-bucket that it is made of. */
import { setMaxListeners } from 'node:events'
import { type Clock, type Endpoint, type Logger, limits } from '@swarmatlas/core'
import { Client } from 'bittorrent-dht'
import KBucket from 'k-bucket'
import krpc from 'k-rpc'
import type { Contact } from './contact.ts'
import { askPatiently, isSound } from './patient-query.ts'
import type { QuerySocket } from './query-socket.ts'
import { createTableSocket } from './table-socket.ts'

export interface RoutingTable {
  readonly count: number
  nodes(): Contact[]
  nearest(target: Buffer, max: number): Contact[]
  /** Only nodes that answered a query of ours come in. */
  answered(id: Buffer, endpoint: Endpoint): void
  lost(endpoint: Endpoint, id: Buffer | undefined): void
  close(): Promise<void>
}

interface Components {
  socket: QuerySocket
  clock: Clock
  logger: Logger
}

interface TableNode {
  readonly id: Buffer
  readonly host: string
  readonly port: number
}

const contactOf = ({ id, host, port }: TableNode): Contact => ({ id, endpoint: { address: host, port } })

export function createIpv4Table({ socket, clock, logger }: Components): RoutingTable {
  const closing = new AbortController()
  setMaxListeners(0, closing.signal)
  const tableSocket = createTableSocket({ socket, clock }, closing.signal)
  const rpc = krpc({ krpcSocket: tableSocket, id: socket.id, concurrency: limits.dhtUpkeepQueries, bootstrap: false })
  const dht = new Client({ krpc: rpc, bootstrap: false })
  dht.on('error', (error: Error) => logger.warn('bittorrent-dht', { error: error.message }))
  dht.listen()
  return {
    get count() {
      return rpc.nodes.count()
    },
    nodes: () => rpc.nodes.toArray().map(contactOf),
    nearest: (target, max) => rpc.nodes.closest(target, max).map(contactOf),
    // Kept beyond the datagram that it came with.
    answered: (id, endpoint) => tableSocket.answered(Buffer.from(id), endpoint),
    lost(endpoint, id) {
      if (id !== undefined && isAt(rpc.nodes.get(id), endpoint)) rpc.nodes.remove(id)
    },
    close() {
      closing.abort()
      return new Promise((done) => dht.destroy(done))
    },
  }
}

/** A full bucket keeps its nodes while they answer (BEP 5). */
export function createIpv6Table({ socket, clock }: Omit<Components, 'logger'>): RoutingTable {
  const closing = new AbortController()
  setMaxListeners(0, closing.signal)
  const table = new KBucket<TableNode>({ localNodeId: socket.id, numberOfNodesPerKBucket: limits.dhtBucketNodes })
  let pings = 0
  table.on('ping', async ([oldest]: TableNode[], newcomer: TableNode) => {
    if (oldest === undefined || pings >= limits.dhtUpkeepQueries) return
    pings++
    const { id: expectedId, endpoint: to } = contactOf(oldest)
    const outcome = await askPatiently({ socket, clock }, { to, expectedId, query: { method: 'ping' } }, closing.signal)
    pings--
    if (closing.signal.aborted || isSound(outcome) || outcome.kind === 'unsent') return
    table.remove(oldest.id)
    table.add(newcomer)
  })
  return {
    get count() {
      return table.count()
    },
    nodes: () => table.toArray().map(contactOf),
    nearest: (target, max) => table.closest(target, max).map(contactOf),
    answered(id, { address: host, port }) {
      if (table.get(id) === null) table.add({ id: Buffer.from(id), host, port })
    },
    lost(endpoint, id) {
      if (id !== undefined && isAt(table.get(id), endpoint)) table.remove(id)
    },
    async close() {
      closing.abort()
    },
  }
}

function isAt(node: TableNode | null, { address, port }: Endpoint): boolean {
  return node !== null && node.host === address && node.port === port
}
