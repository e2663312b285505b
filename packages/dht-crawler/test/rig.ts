/** What the tests share: a gate on any host, a crawler behind it, and a DHT node that answers as it is told. */
import { createHash } from 'node:crypto'
import {
  type BencodedDict,
  countingMeter,
  createAddressPolicy,
  createGate,
  decodeBencode,
  type Encodable,
  type Endpoint,
  encodeBencode,
  encodeCompact,
  endpointKey,
  type Family,
  familyOf,
  type Gate,
  type Host,
  type InfoHash,
  type Meter,
  type Observation,
  type ProfileName,
  parseInfoHash,
  profiles,
  read,
  silentLogger,
} from '@swarmatlas/core'
import { createDhtCrawler, type DhtCrawler, type DhtCrawlerOptions } from '../src/index.ts'

export const HASH: InfoHash = parseInfoHash('0123456789abcdef0123456789abcdef01234567') as InfoHash
export const LOOPBACK = '127.0.0.1'

export interface RigOptions {
  profile?: ProfileName
  /** True: loopback and lab addresses are allowed. */
  allowPrivate?: boolean
  families?: readonly Family[]
  meter?: Meter
}

export function gateOn(host: Host, options: RigOptions = {}): Gate {
  const { profile = 'lab', allowPrivate = true, families = [4, 6], meter = countingMeter() } = options
  const policy = createAddressPolicy({ clock: host.clock }, { profile: profiles[profile], allowPrivate })
  return createGate({ host, policy, meter }, { families })
}

export interface Rig extends AsyncDisposable {
  readonly crawler: DhtCrawler
  readonly gate: Gate
  readonly counts: ReadonlyMap<string, number>
}

export async function startRig(
  host: Host,
  options: Partial<DhtCrawlerOptions> = {},
  rigOptions: RigOptions = {},
): Promise<Rig> {
  const meter = countingMeter()
  const gate = gateOn(host, { ...rigOptions, meter })
  const { clock, random } = host
  const crawler = await createDhtCrawler(
    { gate, clock, random, logger: silentLogger, meter },
    { bootstrap: [], concurrency: 16, ...options },
  )
  return { crawler, gate, counts: meter.counts, [Symbol.asyncDispose]: () => crawler.close() }
}

export interface ReceivedQuery {
  readonly method: string
  readonly message: BencodedDict
  readonly args: BencodedDict
  readonly from: Endpoint
}

export interface ScriptedNode extends AsyncDisposable {
  readonly id: Buffer
  readonly endpoint: Endpoint
  readonly queries: ReceivedQuery[]
  /** Replies that came, which only a node that had asked should get. */
  readonly replies: BencodedDict[]
  send(bytes: Uint8Array, to: Endpoint): void
}

export interface NodeScript {
  address?: string
  port?: number
  /** Names the node id. */
  name?: string
  /** The `r` dictionary beside `id`; undefined: no answer. */
  answer?(query: ReceivedQuery, node: ScriptedNode): { [key: string]: Encodable } | undefined
  /** Top-level `v`. */
  version?: Uint8Array
}

export async function openNode(
  host: Host,
  { address = LOOPBACK, port = 0, name = `${address}:${port}`, answer = () => ({}), version }: NodeScript = {},
): Promise<ScriptedNode> {
  const id = createHash('sha1').update(name).digest()
  const queries: ReceivedQuery[] = []
  const replies: BencodedDict[] = []
  const socket = await host.udp.open({
    family: familyOf(address),
    address,
    port,
    onError() {},
    onMessage(bytes, from) {
      const message = decodeBencode(bytes) as BencodedDict
      if (read.text(message, 'y') !== 'q') {
        replies.push(message)
        return
      }
      const args = read.dict(message, 'a') as BencodedDict
      const query = { method: read.text(message, 'q') as string, message, args, from }
      queries.push(query)
      const body = answer(query, node)
      if (body !== undefined) node.send(replyTo(query, { id, ...body }, version), from)
    },
  })
  const node: ScriptedNode = {
    id,
    endpoint: socket.local,
    queries,
    replies,
    send: (bytes, to) => socket.send(bytes, to),
    [Symbol.asyncDispose]: () => socket.close(),
  }
  return node
}

export function replyTo(query: ReceivedQuery, r: { [key: string]: Encodable }, v?: Uint8Array): Uint8Array {
  return encodeBencode({ t: read.bytes(query.message, 't') as Uint8Array, y: 'r', r, ...(v && { v }) })
}

/** Answers get_peers with these compact values, everything else with an empty reply. */
export function holds(...values: Uint8Array[]): NonNullable<NodeScript['answer']> {
  return ({ method }) => (method === 'get_peers' ? { values } : {})
}

/** A `nodes` string with made-up ids that start with the bytes of `near`. */
export function named(endpoints: readonly Endpoint[], near: Uint8Array = new Uint8Array()): Uint8Array {
  return Buffer.concat(
    endpoints.flatMap((endpoint) => {
      const id = createHash('sha1').update(endpointKey(endpoint)).digest()
      id.set(near.subarray(0, 16))
      return [id, encodeCompact(endpoint)]
    }),
  )
}

export function bootstrapAt(...nodes: ScriptedNode[]): DhtCrawlerOptions['bootstrap'] {
  return nodes.map(({ endpoint }) => ({ host: endpoint.address, port: endpoint.port }))
}

export const never: AbortSignal = new AbortController().signal

export async function observe(crawler: DhtCrawler, swarm: InfoHash = HASH, passes = 1): Promise<Observation[]> {
  const found: Observation[] = []
  for await (const observation of crawler.getPeers(swarm, { signal: never, passes })) found.push(observation)
  return found
}

export function peersOf(observations: readonly Observation[]): Set<string> {
  return new Set(observations.map(({ peer }) => endpointKey(peer)))
}
