/** A simulated DHT of thousands of nodes on the UDP seam, with known truth: for tests of lookups and surveys. */
import {
  decodeBencode,
  type Endpoint,
  encodeBencode,
  encodeCompact,
  type Family,
  type Host,
  read,
  type UdpSocket,
} from '@swarmatlas/core'
import { bounds } from './bounds.ts'
import { createClosers } from './closers.ts'
import { createDhtManners, type DhtManners } from './dht-manners.ts'
import { createAnswerer, versionOf } from './dht-world-answer.ts'
import { createDhtNodes, type SimDhtWorldNode } from './dht-world-nodes.ts'
import { checkWorldOptions, type SimDhtWorldOptions, simDhtVictims } from './dht-world-options.ts'
import { createDhtStore, type SimDhtSwarm } from './dht-world-store.ts'
import { createPrng } from './prng.ts'

export interface SimDhtWorldCounters {
  /** Datagrams that came, to dead nodes too, and their bytes. */
  queries: number
  bytesIn: number
  toDead: number
  replies: number
  bytesOut: number
  malformed: number
  /** Queries without `ro: 1` (BEP 43). */
  notReadOnly: number
  /** Nodes that stopped listening to an asker (outside of hard mode: would have). */
  bans: number
  /** Packets that a deaf node ignored, and replies for which a node had no bytes left: in hard mode only. */
  ignored: number
  overRate: number
  /** Queries by node index. */
  readonly byNode: Map<number, number>
}

export interface SimDhtWorld extends AsyncDisposable {
  /** Live honest nodes, of the first family. */
  readonly bootstrap: readonly Endpoint[]
  /** In the order of their ids, liars included. */
  readonly nodes: readonly SimDhtWorldNode[]
  readonly swarms: readonly SimDhtSwarm[]
  readonly counters: Readonly<SimDhtWorldCounters>
  close(): Promise<void>
}

const PROTOCOL_ERROR = 203

/** The machine behind `udp` must own simDhtRanges. All follows from the seed and the order of the queries. */
export async function startSimDhtWorld(
  { udp, clock }: Pick<Host, 'udp' | 'clock'>,
  options: SimDhtWorldOptions,
): Promise<SimDhtWorld> {
  checkWorldOptions(options)
  const { families = [4], hard = false, seedShare = 0.4, victims = simDhtVictims, swarms: sizes } = options
  const prng = createPrng(options.seed)
  const hashes = sizes.map(() => prng.bytes(20))
  const nodes = createDhtNodes({ prng: prng.derive('nodes') }, { ...options, hashes })
  const settings = { hashes, sizes, seedShare, families, hard }
  const store = createDhtStore({ nodes, prng: prng.derive('store') }, settings)
  const components = { nodes, store, prng: prng.derive('answers'), nowS: () => clock.monotonic() / 1_000 }
  const answer = createAnswerer(components, { families, victims })
  const counters: SimDhtWorldCounters = {
    queries: 0,
    bytesIn: 0,
    toDead: 0,
    replies: 0,
    bytesOut: 0,
    malformed: 0,
    notReadOnly: 0,
    bans: 0,
    ignored: 0,
    overRate: 0,
    byNode: new Map(),
  }
  const manners = new Map<SimDhtWorldNode, DhtManners>()

  function mannersOf(node: SimDhtWorldNode): DhtManners {
    const found = manners.get(node) ?? createDhtManners({ clock })
    manners.set(node, found)
    return found
  }

  /** The reply to a datagram, if there is one. */
  function reply(node: SimDhtWorldNode, family: Family, bytes: Uint8Array, from: Endpoint): Uint8Array | undefined {
    counters.queries++
    counters.bytesIn += bytes.length
    counters.byNode.set(node.index, (counters.byNode.get(node.index) ?? 0) + 1)
    if (!node.alive) {
      counters.toDead++
      return undefined
    }
    const own = mannersOf(node)
    const heard = own.hears(from.address)
    if (heard === 'banned') counters.bans++
    if (hard && heard !== 'yes') {
      counters.ignored++
      return undefined
    }
    const message = decodeBencode(bytes, { maxDepth: bounds.krpcDepth, maxItems: bounds.krpcItems })
    const dict = message instanceof Map ? message : undefined
    const transaction = read.bytes(dict, 't')
    const args = read.dict(dict, 'a')
    if (read.text(dict, 'y') !== 'q' || transaction === undefined) {
      counters.malformed++
      return undefined
    }
    if (read.integer(dict, 'ro') !== 1) counters.notReadOnly++
    const valid = args !== undefined && read.bytes(args, 'id')?.length === 20
    const body = valid ? answer(node, family, read.text(dict, 'q'), args) : undefined
    if (body === undefined) counters.malformed++
    const encoded = encodeBencode({
      t: transaction,
      v: versionOf(node),
      ip: encodeCompact(from),
      ...(body ?? { e: [PROTOCOL_ERROR, 'invalid arguments'] }),
      y: body !== undefined && 'r' in body ? 'r' : 'e',
    })
    if (!hard || own.maySend(encoded.length)) return encoded
    counters.overRate++
    return undefined
  }

  const closers = createClosers()
  async function open(node: SimDhtWorldNode, family: Family): Promise<void> {
    const { address, port } = node.endpoints[family] as Endpoint
    const socket: UdpSocket = await udp.open({
      family,
      address,
      port,
      onError() {},
      onMessage(bytes, from) {
        const encoded = reply(node, family, bytes, from)
        if (encoded === undefined) return
        counters.replies++
        counters.bytesOut += encoded.length
        socket.send(encoded, from)
      },
    })
    closers.add(() => socket.close())
  }
  try {
    await Promise.all(nodes.all.flatMap((node) => families.map((family) => open(node, family))))
  } catch (error) {
    await closers.close()
    throw error
  }

  const entries = nodes.all.filter(({ alive, lie }) => alive && lie === undefined)
  return {
    bootstrap: prng
      .derive('bootstrap')
      .sample(entries, bounds.dhtBootstrapNodes)
      .map(({ endpoints }) => endpoints[families[0] as Family] as Endpoint),
    nodes: nodes.all,
    swarms: store.swarms,
    counters,
    close: () => closers.close(),
    [Symbol.asyncDispose]: () => closers.close(),
  }
}
