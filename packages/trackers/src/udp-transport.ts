/**
 * Trackers over UDP: BEP 15. One socket per family; a connection id is used for one minute and fetched once for all who
 * wait for it; a request keeps its transaction id over its retransmits, so that a late reply still counts.
 */
import {
  type Clock,
  codeOf,
  type Endpoint,
  endpointKey,
  type Family,
  familyOf,
  type Gate,
  type GatedUdpSocket,
  type InfoHash,
  limits,
  type Meter,
  messageOf,
  outcomeOf,
  type Random,
  SwarmatlasError,
} from '@swarmatlas/core'
import {
  type AnnounceReply,
  type AnnounceRequest,
  type Answer,
  type AskOptions,
  answered,
  forbidden,
  type ScrapeFigures,
  success,
  type TrackerTransport,
  unanswered,
} from './answer.ts'
import type { TrackerUrl } from './tracker-url.ts'
import {
  ACTION,
  decodeAnnounce,
  decodeConnect,
  decodeReply,
  decodeScrape,
  encodeAnnounce,
  encodeConnect,
  encodeScrape,
} from './udp-messages.ts'
import { orAbort, whenAdmitted, within } from './waiting.ts'

export interface UdpTransportComponents {
  gate: Gate
  clock: Clock
  random: Random
  meter: Meter
}

export function createUdpTransport(components: UdpTransportComponents): TrackerTransport {
  return new UdpTransport(components)
}

/** A request whose reply is awaited. */
interface Pending {
  readonly to: string
  readonly action: number
  settle(answer: Answer<Uint8Array>): void
}

/** A connect that several requests wait for; it ends when none of them does. */
interface Connecting {
  readonly answer: Promise<Answer<Uint8Array>>
  readonly end: AbortController
  waiting: number
}

type AskWait = Pick<AskOptions, 'signal' | 'timeoutMs' | 'retransmits'>

class UdpTransport implements TrackerTransport {
  readonly #components: UdpTransportComponents
  readonly #sockets = new Map<Family, Promise<GatedUdpSocket>>()
  readonly #pending = new Map<number, Pending>()
  /** By endpoint, the oldest first. */
  readonly #connections = new Map<string, { id: Uint8Array; atMs: number }>()
  readonly #connecting = new Map<string, Connecting>()

  constructor(components: UdpTransportComponents) {
    this.#components = components
  }

  async announce(
    tracker: TrackerUrl,
    address: string,
    request: AnnounceRequest,
    options: AskOptions,
  ): Promise<Answer<AnnounceReply>> {
    const to = { address, port: tracker.port }
    const urlData = tracker.path === '/' && tracker.query === '' ? '' : tracker.path + tracker.query
    const answer = await this.#ask(to, ACTION.announce, options, (connectionId, transactionId) =>
      encodeAnnounce(connectionId, transactionId, request, urlData),
    )
    if (!answer.ok) return answer
    const reply = decodeAnnounce(answer.value, familyOf(address))
    return reply === undefined ? tooShort(ACTION.announce) : success(reply)
  }

  async scrape(
    tracker: TrackerUrl,
    address: string,
    swarms: readonly InfoHash[],
    options: AskOptions,
  ): Promise<Answer<Map<InfoHash, ScrapeFigures>>> {
    const found = new Map<InfoHash, ScrapeFigures>()
    for (let at = 0; at < swarms.length; at += limits.trackerUdpScrapeHashes) {
      const part = swarms.slice(at, at + limits.trackerUdpScrapeHashes)
      const answer = await this.#ask({ address, port: tracker.port }, ACTION.scrape, options, (id, transactionId) =>
        encodeScrape(id, transactionId, part),
      )
      if (!answer.ok) return answer
      for (const [swarm, figures] of decodeScrape(answer.value, part)) found.set(swarm, figures)
    }
    return success(found)
  }

  async close(): Promise<void> {
    const sockets = [...this.#sockets.values()]
    this.#sockets.clear()
    for (const { settle } of this.#pending.values()) settle(unanswered('not-tried', 'closed'))
    const opened = await Promise.allSettled(sockets)
    await Promise.all(opened.map((socket) => (socket.status === 'fulfilled' ? socket.value.close() : undefined)))
  }

  /** Connects where that is needed and sends one request. */
  async #ask(
    to: Endpoint,
    action: number,
    options: AskOptions,
    encode: (connectionId: Uint8Array, transactionId: number) => Uint8Array,
  ): Promise<Answer<Uint8Array>> {
    for (let first = true; ; first = false) {
      let reused = false
      const answer = await this.#request(to, action, options, async (transactionId) => {
        const known = this.#connectionId(to)
        reused = known !== undefined
        const connection = known === undefined ? await this.#connect(to, options) : success(known)
        if (!connection.ok) return connection
        await options.beforeSend()
        return success(encode(connection.value, transactionId))
      })
      // A tracker that was restarted since it gave the id says so at once.
      const stale = reused && !answer.ok && answer.outcome === 'refused' && /connection/i.test(answer.detail)
      if (!stale || !first) return answer
      this.#connections.delete(endpointKey(to))
    }
  }

  #connectionId(to: Endpoint): Uint8Array | undefined {
    const known = this.#connections.get(endpointKey(to))
    const fresh = known !== undefined && this.#components.clock.monotonic() - known.atMs < limits.trackerConnectionIdMs
    return fresh ? known.id : undefined
  }

  /** A fresh connection id; whoever asks while one is on its way waits for the same. */
  async #connect(to: Endpoint, options: AskWait): Promise<Answer<Uint8Array>> {
    const key = endpointKey(to)
    let connecting = this.#connecting.get(key)
    if (connecting === undefined) {
      const end = new AbortController()
      connecting = { answer: this.#sendConnect(to, { ...options, signal: end.signal }), end, waiting: 0 }
      this.#connecting.set(key, connecting)
    }
    connecting.waiting++
    try {
      return await orAbort(connecting.answer, options.signal)
    } finally {
      if (--connecting.waiting === 0) {
        this.#connecting.delete(key)
        connecting.end.abort()
      }
    }
  }

  async #sendConnect(to: Endpoint, options: AskWait): Promise<Answer<Uint8Array>> {
    const answer = await this.#request(to, ACTION.connect, options, async (transactionId) =>
      success(encodeConnect(transactionId)),
    )
    if (!answer.ok) return answer
    const id = decodeConnect(answer.value)
    if (id === undefined) return tooShort(ACTION.connect)
    const { clock, meter } = this.#components
    this.#connections.delete(endpointKey(to))
    this.#connections.set(endpointKey(to), { id, atMs: clock.monotonic() })
    if (this.#connections.size > limits.trackerConnectionIds) {
      const [oldest] = this.#connections.keys()
      if (oldest !== undefined) this.#connections.delete(oldest)
      meter.count('trackers.connectionIds.capped')
    }
    return success(id)
  }

  /** Sends until a reply comes. `packet` is asked before each sending: a connection id may have run out meanwhile. */
  async #request(
    to: Endpoint,
    action: number,
    { signal, timeoutMs, retransmits }: AskWait,
    packet: (transactionId: number) => Promise<Answer<Uint8Array>>,
  ): Promise<Answer<Uint8Array>> {
    const { clock } = this.#components
    signal.throwIfAborted()
    const transactionId = this.#freshTransactionId()
    const reply = new Promise<Answer<Uint8Array>>((settle) => {
      this.#pending.set(transactionId, { to: endpointKey(to), action, settle })
    })
    try {
      const socket = await this.#socket(familyOf(to.address))
      for (let sent = 0; sent <= retransmits; sent++) {
        const bytes = await packet(transactionId)
        if (!bytes.ok) return bytes
        const refusal = await whenAdmitted(
          clock,
          signal,
          async () => socket.send(bytes.value, to, 'tracker'),
          (result) => result,
        )
        if (refusal !== undefined) return forbidden(refusal, to)
        const answer = await within(clock, timeoutMs * 2 ** sent, reply, signal)
        if (answer !== undefined) return answer
      }
      return unanswered('timeout', `no answer to ${retransmits + 1} packets`)
    } catch (error) {
      signal.throwIfAborted()
      // From beforeSend.
      if (error instanceof SwarmatlasError) throw error
      return unanswered(outcomeOf(error), messageOf(error))
    } finally {
      this.#pending.delete(transactionId)
    }
  }

  #freshTransactionId(): number {
    for (;;) {
      const id = Buffer.from(this.#components.random.bytes(4)).readUInt32BE(0)
      if (!this.#pending.has(id)) return id
    }
  }

  async #socket(family: Family): Promise<GatedUdpSocket> {
    let socket = this.#sockets.get(family)
    if (socket === undefined) {
      socket = this.#components.gate.udp({
        family,
        channel: 'tracker',
        onMessage: (bytes, from) => this.#receive(bytes, from),
        onError: (error) => this.#sendFailed(error),
      })
      this.#sockets.set(family, socket)
      // A family that cannot be opened now may be later.
      socket.catch(() => this.#sockets.delete(family))
    }
    return socket
  }

  #receive(bytes: Uint8Array, from: Endpoint): void {
    const { gate, meter } = this.#components
    if (bytes.length > limits.trackerUdpPacketBytes) {
      meter.count('trackers.udp.oversized')
      return
    }
    const reply = decodeReply(bytes)
    const pending = reply && this.#pending.get(reply.transactionId)
    if (reply === undefined || pending === undefined || pending.to !== endpointKey(from)) {
      meter.count('trackers.udp.unasked')
      return
    }
    gate.policy.vouch('tracker', from)
    if (reply.action === pending.action) {
      pending.settle(success(reply.body))
    } else if (reply.action === ACTION.error) {
      pending.settle(answered('refused', Buffer.from(reply.body).toString('utf8')))
    } else {
      pending.settle(answered('bad-message', `answered action ${pending.action} with action ${reply.action}`))
    }
  }

  /** The system names the address that a datagram could not be sent to. */
  #sendFailed(error: Error): void {
    const { address, port } = error as { address?: string; port?: number }
    this.#components.meter.count(`trackers.udp.sendFailed.${codeOf(error) ?? 'unknown'}`)
    if (address === undefined || port === undefined) return
    for (const pending of this.#pending.values()) {
      if (pending.to === endpointKey({ address, port })) pending.settle(unanswered(outcomeOf(error), messageOf(error)))
    }
  }
}

function tooShort(action: number): Answer<never> {
  return answered('bad-message', `its reply to action ${action} is too short`)
}
