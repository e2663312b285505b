/** Raw clients for the tests: bytes on sockets, as small as they can be. */
import { createSocket } from 'node:dgram'
import { connect, type Socket } from 'node:net'
import {
  type BencodedDict,
  decodeBencode,
  decodeBencodePrefix,
  decodeCompact,
  decodeCompactList,
  type Encodable,
  type Endpoint,
  encodeBencode,
  endpointKey,
  type HostPort,
  read,
} from '@swarmatlas/core'

/** A UDP socket that sends one datagram and waits for one reply. */
export async function udpExchange(to: HostPort, request: Uint8Array, waitMs = 1_000): Promise<Buffer | undefined> {
  const ask = openUdp(to)
  try {
    return await ask(request, waitMs)
  } finally {
    ask.close()
  }
}

export function openUdp(to: HostPort): {
  (request: Uint8Array, waitMs?: number): Promise<Buffer | undefined>
  close(): void
} {
  const socket = createSocket(to.host.includes(':') ? 'udp6' : 'udp4')
  const ask = (request: Uint8Array, waitMs = 1_000) =>
    new Promise<Buffer | undefined>((resolve) => {
      const timer = setTimeout(() => resolve(undefined), waitMs)
      socket.once('message', (bytes) => {
        clearTimeout(timer)
        resolve(bytes)
      })
      socket.send(request, to.port, to.host)
    })
  return Object.assign(ask, { close: () => void socket.close() })
}

export const askerId = Buffer.from('abcdefghij0123456789')

export async function krpc(
  to: HostPort,
  method: string,
  args: { [key: string]: Encodable },
  waitMs?: number,
): Promise<BencodedDict | undefined> {
  const query = encodeBencode({ t: 'aa', y: 'q', q: method, ro: 1, a: { id: askerId, ...args } })
  const reply = await udpExchange(to, query, waitMs)
  return reply === undefined ? undefined : (decodeBencode(reply) as BencodedDict)
}

/** Walks towards a hash until the 8 nearest nodes known have answered: who answered, and the peers they named. */
export async function walk(bootstrap: readonly HostPort[], target: Uint8Array, family: 4 | 6 = 4) {
  const idLength = 20
  const entry = idLength + (family === 4 ? 6 : 18)
  const distance = (id: Uint8Array) => Buffer.from(id.map((byte, i) => byte ^ (target[i] as number))).toString('hex')
  const known = new Map<string, { distance: string; to: HostPort; asked: boolean; answered: boolean }>()
  const peers = new Set<string>()
  const ask = async (to: HostPort) => {
    const reply = await krpc(to, 'get_peers', { info_hash: target }, 100)
    const values = read.dict(reply, 'r')
    for (const value of read.list(values, 'values') ?? []) {
      peers.add(endpointKey(decodeCompact(value as Uint8Array) as Endpoint))
    }
    const nodes = read.bytes(values, family === 4 ? 'nodes' : 'nodes6') ?? new Uint8Array()
    for (let at = 0; at + entry <= nodes.length; at += entry) {
      const { address, port } = decodeCompact(nodes.subarray(at + idLength, at + entry)) as Endpoint
      const key = endpointKey({ address, port })
      if (known.has(key)) continue
      const to = { host: address, port }
      known.set(key, { distance: distance(nodes.subarray(at, at + idLength)), to, asked: false, answered: false })
    }
    return values !== undefined
  }
  for (const to of bootstrap) await ask(to)
  for (;;) {
    const hopeful = [...known.values()].filter((node) => !node.asked || node.answered)
    const nearest = hopeful.sort((a, b) => (a.distance < b.distance ? -1 : 1)).slice(0, 8)
    const fresh = nearest.filter((node) => !node.asked)
    if (fresh.length === 0) return { peers, holders: nearest.map((node) => node.to), asked: known.size }
    await Promise.all(
      fresh.map(async (node) => {
        node.asked = true
        node.answered = await ask(node.to)
      }),
    )
  }
}

/** Percent-encodes every byte. */
export function percent(bytes: Uint8Array): string {
  return [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
}

export async function httpGet(url: string): Promise<BencodedDict> {
  const { hostname, port, pathname, search } = new URL(url)
  const socket = connect(Number(port), hostname.replace(/^\[|\]$/g, ''))
  socket.write(`GET ${pathname}${search} HTTP/1.1\r\nHost: x\r\n\r\n`)
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  const all = Buffer.concat(chunks)
  return decodeBencode(all.subarray(all.indexOf('\r\n\r\n') + 4)) as BencodedDict
}

/** Peers and figures of a UDP announce. */
export async function udpAnnounce(url: string, hash: Uint8Array, { event = 2, port = 7_001, numwant = 200 } = {}) {
  const parsed = new URL(url)
  const ask = openUdp({ host: parsed.hostname, port: Number(parsed.port) })
  try {
    const hello = Buffer.alloc(16)
    hello.writeBigUInt64BE(0x41727101980n)
    hello.writeUInt32BE(77, 12)
    const connected = (await ask(hello)) as Buffer
    const request = Buffer.alloc(98)
    connected.copy(request, 0, 8, 16)
    request.writeUInt32BE(1, 8)
    request.writeUInt32BE(78, 12)
    request.set(hash, 16)
    request.set(askerId, 36)
    request.writeBigUInt64BE(1_000n, 64)
    request.writeUInt32BE(event, 80)
    request.writeInt32BE(numwant, 92)
    request.writeUInt16BE(port, 96)
    const reply = (await ask(request)) as Buffer
    if (reply.readUInt32BE(0) === 3) return { error: reply.subarray(8).toString() }
    return {
      transaction: reply.readUInt32BE(4),
      interval: reply.readUInt32BE(8),
      leechers: reply.readUInt32BE(12),
      seeders: reply.readUInt32BE(16),
      peers: new Set(decodeCompactList(reply.subarray(20), 4, 1_000).map(endpointKey)),
    }
  } finally {
    ask.close()
  }
}

export interface WireClient {
  readonly socket: Socket
  /** The next message; undefined when the peer closed. */
  next(): Promise<{ id: number; payload: Buffer } | undefined>
  send(id: number, payload?: Uint8Array): void
  readonly handshake: Buffer
}

/** Connects and shakes hands; undefined when the peer closes instead. */
export async function wireConnect(to: Endpoint, hash: Uint8Array, reserved7 = 0x04): Promise<WireClient | undefined> {
  const socket = connect(to.port, to.address)
  socket.on('error', () => {})
  const bytes = socket[Symbol.asyncIterator]()
  let buffer = Buffer.alloc(0)
  const take = async (length: number): Promise<Buffer | undefined> => {
    while (buffer.length < length) {
      const { value, done } = await bytes.next()
      if (done) return undefined
      buffer = Buffer.concat([buffer, value as Buffer])
    }
    const taken = buffer.subarray(0, length)
    buffer = buffer.subarray(length)
    return taken
  }
  const reserved = Uint8Array.of(0, 0, 0, 0, 0, 0x10, 0, reserved7)
  socket.write(Buffer.concat([Buffer.from('\u0013BitTorrent protocol', 'latin1'), reserved, hash, askerId]))
  const handshake = await take(68).catch(() => undefined)
  if (handshake === undefined) return undefined
  return {
    socket,
    handshake,
    async next() {
      const length = (await take(4))?.readUInt32BE(0)
      const body = length === undefined ? undefined : await take(length)
      return body === undefined ? undefined : { id: body[0] as number, payload: body.subarray(1) }
    },
    send(id, payload = new Uint8Array()) {
      const head = Buffer.alloc(5)
      head.writeUInt32BE(payload.length + 1)
      head[4] = id
      socket.write(Buffer.concat([head, payload]))
    },
  }
}

export function extended(id: number, value: Encodable): Uint8Array {
  return Buffer.concat([Uint8Array.of(id), encodeBencode(value)])
}

/** What a whole visit yields: extension handshake, the share message, metadata and one PEX message. */
export async function visit(to: Endpoint, hash: Uint8Array) {
  const client = (await wireConnect(to, hash)) as WireClient
  client.send(20, extended(0, { m: { ut_metadata: 3, ut_pex: 4 } }))
  let hello: BencodedDict | undefined
  let share: { id: number; payload: Buffer } | undefined
  let pex: BencodedDict | undefined
  const pieces = new Map<number, Uint8Array>()
  const wanted = () => Math.ceil((read.integer(hello, 'metadata_size') ?? 1) / 16_384)
  while (hello === undefined || pex === undefined || pieces.size < wanted()) {
    const message = await client.next()
    if (message === undefined) break
    if (message.id !== 20) {
      share ??= message
      continue
    }
    const { value, end } = decodeBencodePrefix(message.payload.subarray(1)) as { value: BencodedDict; end: number }
    if (message.payload[0] === 0) {
      hello = value
      const theirs = read.integer(read.dict(hello, 'm'), 'ut_metadata') as number
      for (let piece = 0; piece < wanted(); piece++) client.send(20, extended(theirs, { msg_type: 0, piece }))
    } else if (message.payload[0] === 3) {
      pieces.set(read.integer(value, 'piece') as number, message.payload.subarray(1 + end))
    } else if (message.payload[0] === 4) {
      pex = value
    }
  }
  client.socket.destroy()
  const metadata = Buffer.concat([...pieces].sort(([a], [b]) => a - b).map(([, bytes]) => bytes))
  return { handshake: client.handshake, hello, share, pex, metadata }
}
