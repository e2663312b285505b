/**
 * uTP (BEP 29) over the gate: dials and accepts connections on one UDP socket per family. A packet belongs to a
 * connection when address, port and connection id agree; a connection that others open is believed in when its opener
 * acknowledges the random number that our answer held. What belongs to nothing is dropped: we answer nobody but
 * those we talk to, and who wants to talk to us while we listen.
 */
import {
  type Clock,
  type DialOptions,
  type DialResult,
  deadline,
  type Endpoint,
  endpointKey,
  type Family,
  familyOf,
  type Gate,
  type GatedUdpSocket,
  limits,
  type Meter,
  messageOf,
  type Outcome,
  outcomeOf,
  type Random,
  SwarmatlasError,
  sleep,
  type TcpStream,
} from '@swarmatlas/core'
import { type Connection, createConnection } from './connection.ts'
import { decodePacket, encodePacket, type Packet, TYPE } from './packet.ts'
import { plus } from './sequence.ts'
import { createUtpStream, type UtpStream } from './stream.ts'

export interface UtpComponents {
  /** Over shareUdp, uTP has its port in common with the DHT. */
  gate: Gate
  clock: Clock
  random: Random
  meter: Meter
}

/** As Gate.dial's. The claim changes nothing: UDP below port 1024 is for trackers and bootstrap nodes. */
export type UtpDialOptions = DialOptions & { purpose: 'peer' }

export interface UtpListener {
  /** One per family. */
  readonly locals: readonly Endpoint[]
  /** Accepts no more; what is open stays. Idempotent. */
  close(): void
}

export interface Utp extends AsyncDisposable {
  /** As Gate.dial: never rejects but for an abort of `signal`. The stream's bytes are in the ledger as UDP already. */
  connect(to: Endpoint, options: UtpDialOptions): Promise<DialResult>
  /** Accepts connections, from `from`'s source port, until closed. One listener at a time. Rejects with NO_NETWORK. */
  listen(onConnection: (stream: TcpStream, from: Endpoint) => void): Promise<UtpListener>
  /** Ends all connections. Idempotent. */
  close(): Promise<void>
}

export function createUtp(components: UtpComponents): Utp {
  return new UtpEndpoint(components)
}

/** What becomes of a connection that is not open yet. */
interface Opening {
  readonly opened: (stream: TcpStream) => void
  readonly failed: (outcome: Outcome, detail: string) => void
}

class UtpEndpoint implements Utp {
  readonly #components: UtpComponents
  readonly #opening = new Map<Family, Promise<GatedUdpSocket>>()
  readonly #sockets = new Map<Family, GatedUdpSocket>()
  /** By remote endpoint and the id in packets to us. */
  readonly #connections = new Map<string, Connection>()
  /** Not yet answered, by the same key. */
  readonly #dialling = new Map<string, { readonly at: string; failed(error: Error): void }>()
  /** Inbound ones that may be forged, and where they say they come from. */
  readonly #halfOpen = new Map<string, string>()
  /** The id in packets from us, of connections that are over. The oldest go first. */
  readonly #over = new Map<string, number>()
  #onConnection: ((stream: TcpStream, from: Endpoint) => void) | undefined
  #closing: Promise<void> | undefined

  constructor(components: UtpComponents) {
    this.#components = components
  }

  async connect(to: Endpoint, { timeoutMs, signal }: UtpDialOptions): Promise<DialResult> {
    const { gate, clock } = this.#components
    signal.throwIfAborted()
    this.#mustBeOpen()
    const family = familyOf(to.address)
    if (!gate.families.includes(family)) {
      return { ok: false, outcome: 'forbidden', detail: 'family', refusal: { reason: 'family' } }
    }
    if (this.#full()) return { ok: false, outcome: 'over-budget', detail: 'too many uTP connections' }
    let socket: GatedUdpSocket
    try {
      socket = await this.#socket(family)
    } catch (error) {
      return { ok: false, outcome: outcomeOf(error), detail: messageOf(error) }
    }
    signal.throwIfAborted()
    this.#mustBeOpen()
    using limit = deadline(clock, timeoutMs, signal)
    const result = await new Promise<DialResult>((resolve) => {
      const failed = (outcome: Outcome, detail: string) => resolve({ ok: false, outcome, detail })
      const opened = (stream: TcpStream) => resolve({ ok: true, stream })
      const connection = this.#start(socket, to, { opened, failed }, { id: this.#freshId(to) })
      const key = keyOf(to, connection.receiveId)
      const refusal = connection.open()
      if (refusal !== undefined) {
        this.#connections.delete(key)
        const outcome = refusal.retryAfterMs === undefined ? 'forbidden' : 'over-budget'
        resolve({ ok: false, outcome, detail: refusal.reason, refusal })
        return
      }
      this.#dialling.set(key, {
        at: endpointKey(to),
        failed: (error) => {
          failed(outcomeOf(error), messageOf(error))
          connection.abandon()
        },
      })
      limit.signal.addEventListener('abort', () => {
        failed('timeout', NO_ANSWER)
        if (this.#dialling.has(key)) connection.abandon()
      })
    })
    if (signal.aborted && result.ok) result.stream.destroy()
    signal.throwIfAborted()
    return result
  }

  async listen(onConnection: (stream: TcpStream, from: Endpoint) => void): Promise<UtpListener> {
    this.#mustBeOpen()
    if (this.#onConnection !== undefined) throw new SwarmatlasError('BAD_OPTION', 'uTP has a listener already')
    this.#onConnection = onConnection
    const opened = await Promise.allSettled(this.#components.gate.families.map((family) => this.#socket(family)))
    const locals = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value.local] : []))
    if (locals.length === 0) {
      this.#onConnection = undefined
      const cause = opened.find((each) => each.status === 'rejected')?.reason
      throw new SwarmatlasError('NO_NETWORK', `no UDP socket can be opened: ${messageOf(cause)}`, { cause })
    }
    return {
      locals,
      close: () => {
        if (this.#onConnection === onConnection) this.#onConnection = undefined
      },
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    this.#onConnection = undefined
    for (const connection of [...this.#connections.values()]) connection.abandon()
    // A system socket sends after the current turn; closed at once, it would take the farewells with it.
    await sleep(this.#components.clock, 0)
    await Promise.allSettled(this.#opening.values())
    await Promise.all([...this.#sockets.values()].map((socket) => socket.close()))
  }

  #mustBeOpen(): void {
    if (this.#closing !== undefined) throw new SwarmatlasError('ABORTED', 'uTP is closed')
  }

  #full(): boolean {
    const full = this.#connections.size >= limits.utpConnections
    if (full) this.#components.meter.count('utp.refused.connections')
    return full
  }

  #socket(family: Family): Promise<GatedUdpSocket> {
    let opening = this.#opening.get(family)
    if (opening === undefined) {
      opening = this.#open(family)
      this.#opening.set(family, opening)
      // A family that cannot be opened now may be later.
      opening.catch(() => this.#opening.delete(family))
    }
    return opening
  }

  async #open(family: Family): Promise<GatedUdpSocket> {
    const socket = await this.#components.gate.udp({
      family,
      channel: 'pex',
      onMessage: (bytes, from) => this.#receive(bytes, from),
      onError: (error) => this.#sendFailed(error),
    })
    this.#sockets.set(family, socket)
    return socket
  }

  /** Unguessable, and its neighbours, the other direction's ids, unused as well. */
  #freshId(to: Endpoint): number {
    for (;;) {
      const [high = 0, low = 0] = this.#components.random.bytes(2)
      const id = (high << 8) | low
      if (![-1, 0, 1].some((step) => this.#connections.has(keyOf(to, plus(id, step))))) return id
    }
  }

  #start(
    socket: GatedUdpSocket,
    remote: Endpoint,
    { opened, failed }: Opening,
    options: { id: number; syn?: Packet },
  ): Connection {
    let stream: UtpStream | undefined
    const connection = createConnection(
      {
        ...this.#components,
        send: (bytes) => socket.send(bytes, remote, 'peer'),
        handlers: {
          opened: () => {
            this.#dialling.delete(key)
            this.#halfOpen.delete(key)
            stream = createUtpStream(connection)
            opened(stream.stream)
          },
          data: (bytes) => stream?.data(bytes),
          ended: () => stream?.ended(),
          unread: () => stream?.stream.readableLength ?? 0,
          sent: () => stream?.sent(),
          gone: (code) => {
            this.#forget(key, connection)
            const error = code === undefined ? undefined : Object.assign(new Error(DETAILS[code] ?? code), { code })
            if (stream !== undefined) stream.gone(error)
            else failed(error === undefined ? 'reset' : outcomeOf(error), error?.message ?? 'closed')
          },
        },
      },
      options,
    )
    const key = keyOf(remote, connection.receiveId)
    this.#connections.set(key, connection)
    return connection
  }

  #forget(key: string, connection: Connection): void {
    this.#connections.delete(key)
    this.#dialling.delete(key)
    this.#halfOpen.delete(key)
    this.#over.set(key, connection.sendId)
    if (this.#over.size <= limits.utpClosedRemembered) return
    for (const oldest of this.#over.keys()) {
      this.#over.delete(oldest)
      break
    }
  }

  #receive(bytes: Uint8Array, from: Endpoint): void {
    const { meter } = this.#components
    const packet = decodePacket(bytes)
    if (packet === undefined) {
      meter.count('utp.dropped.malformed')
      return
    }
    const connection = this.#find(packet, from)
    if (connection !== undefined) connection.receive(packet)
    else if (packet.type === TYPE.syn) this.#accept(packet, from)
    else if (packet.type === TYPE.reset || !this.#tellOver(packet, from)) meter.count('utp.dropped.unknown')
  }

  #find({ type, connectionId: id }: Packet, from: Endpoint): Connection | undefined {
    if (type === TYPE.syn) return this.#connections.get(keyOf(from, plus(id, 1)))
    const found = this.#connections.get(keyOf(from, id))
    if (found !== undefined || type !== TYPE.reset) return found
    // Who knows nothing of a connection resets it with the id that it was called by.
    return [-1, 1].map((step) => this.#connections.get(keyOf(from, plus(id, step)))).find((each) => each?.sendId === id)
  }

  /** The other side of a connection that is over still talks: say so, once. */
  #tellOver(packet: Packet, from: Endpoint): boolean {
    const key = keyOf(from, packet.connectionId)
    const connectionId = this.#over.get(key)
    if (connectionId === undefined) return false
    this.#over.delete(key)
    const header = { type: TYPE.reset, connectionId, timestampUs: 0, differenceUs: 0, windowBytes: 0, seq: 0 }
    const reset = encodePacket({ ...header, ack: packet.seq }, undefined, new Uint8Array())
    this.#sockets.get(familyOf(from.address))?.send(reset, from, 'peer')
    return true
  }

  #accept(syn: Packet, from: Endpoint): void {
    const { gate, meter } = this.#components
    const socket = this.#sockets.get(familyOf(from.address))
    if (this.#onConnection === undefined || socket === undefined) {
      meter.count('utp.dropped.not-listening')
      return
    }
    if (gate.policy.judge('peer', 'udp', from) !== undefined) {
      meter.count('utp.refused.policy')
      return
    }
    if (this.#full()) return
    const fromThere = [...this.#halfOpen.values()].filter((address) => address === from.address).length
    if (this.#halfOpen.size >= limits.utpHalfOpen || fromThere >= limits.utpHalfOpenPerAddress) {
      meter.count('utp.refused.half-open')
      return
    }
    this.#halfOpen.set(keyOf(from, plus(syn.connectionId, 1)), from.address)
    const opened = (stream: TcpStream) => {
      if (this.#onConnection === undefined) stream.destroy()
      else this.#onConnection(stream, from)
    }
    this.#start(socket, from, { opened, failed() {} }, { id: syn.connectionId, syn })
  }

  /** The system names the address that a datagram could not be sent to. */
  #sendFailed(error: Error & { address?: string; port?: number }): void {
    this.#components.meter.count('utp.send-error')
    const { address, port } = error
    if (address === undefined || port === undefined) return
    const at = endpointKey({ address, port })
    for (const dial of [...this.#dialling.values()]) if (dial.at === at) dial.failed(error)
  }
}

const NO_ANSWER = 'no answer to the connection attempt'
const DETAILS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refused by a RESET',
  ECONNRESET: 'reset by the peer',
  ETIMEDOUT: NO_ANSWER,
}

function keyOf(remote: Endpoint, receiveId: number): string {
  return `${endpointKey(remote)} ${receiveId}`
}
