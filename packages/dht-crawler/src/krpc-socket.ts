/**
 * The guarded socket: it stands where k-rpc expects a k-rpc-socket (see ADR 0002), so that bittorrent-dht sees nothing
 * but valid replies to queries of its own, and nothing leaves but through the gate. It answers no query (BEP 43).
 */
import { EventEmitter } from 'node:events'
import {
  type Clock,
  canonicalAddress,
  type Endpoint,
  endpointKey,
  familyOf,
  type Gate,
  type GatedUdpSocket,
  limits,
  type Meter,
  messageOf,
  type Purpose,
  type Random,
  SwarmatlasError,
  type Timer,
} from '@swarmatlas/core'
import { type Contact, decodeKrpc, encodeContacts, encodeQuery, type KrpcQuery, type KrpcReply } from './krpc.ts'
import {
  type KrpcAnswer,
  type KrpcPeer,
  type KrpcSocket,
  type KrpcWatcher,
  type QueryCallback,
  QueryFailure,
} from './krpc-interface.ts'
import { createQueryTimeout } from './query-timeout.ts'

interface Components {
  gate: Gate
  clock: Clock
  random: Random
  meter: Meter
  watcher: KrpcWatcher
}

/** Rejects with NO_NETWORK when the port cannot be had. */
export async function openKrpcSocket(components: Components, { port = 0 }: { port?: number }): Promise<KrpcSocket> {
  const socket = new GuardedSocket(components)
  try {
    await socket.open(port)
  } catch (cause) {
    throw new SwarmatlasError('NO_NETWORK', `UDP port ${port} cannot be opened: ${messageOf(cause)}`, { cause })
  }
  return socket
}

interface Transaction {
  readonly tid: number
  readonly query: KrpcQuery
  readonly bytes: Uint8Array
  readonly peer: KrpcPeer
  readonly to: Endpoint
  readonly purpose: Purpose
  /** Undefined once the caller knows the outcome. */
  callback: QueryCallback | undefined
  /** Undefined while the policy's rate holds the query back, until `givenUpAtMs`. */
  sentAtMs: number | undefined
  readonly givenUpAtMs: number
  timer: Timer | undefined
}

interface Match {
  readonly transaction: Transaction
  readonly sentAtMs: number
  readonly reply: KrpcReply
}

class GuardedSocket extends EventEmitter implements KrpcSocket {
  inflight = 0
  sendErrors = 0
  lastSendError: string | undefined
  #socket: GatedUdpSocket | undefined
  #closed = false
  /** By transaction id. Those past their timeout stay until a late reply is out of the question. */
  readonly #transactions = new Map<number, Transaction>()
  /** First come, first sent. Not more than are in flight. */
  readonly #held: Transaction[] = []
  #heldTimer: Timer | undefined
  readonly #timeout = createQueryTimeout()
  readonly #components: Components

  constructor(components: Components) {
    super()
    this.#components = components
  }

  async open(port: number): Promise<void> {
    this.#socket = await this.#components.gate.udp({
      channel: 'dht',
      family: 4,
      port,
      receiveBufferBytes: limits.udpReceiveBufferBytes,
      onMessage: (bytes, from) => this.#receive(bytes, from),
      onError: (error) => {
        this.sendErrors++
        this.lastSendError = messageOf(error)
        this.#components.meter.count('dht.send-error')
      },
    })
  }

  address(): Endpoint {
    return this.#open().local
  }

  bind(): void {
    queueMicrotask(() => this.emit('listening'))
  }

  query(peer: KrpcPeer, query: KrpcQuery, callback: QueryCallback = () => {}): void {
    const { clock, watcher } = this.#components
    const tid = this.#freshTid()
    const transaction: Transaction = {
      tid,
      query,
      bytes: encodeQuery(tidBytes(tid), query),
      peer,
      to: { address: canonicalAddress(peer.address ?? peer.host ?? '') ?? '', port: peer.port },
      purpose: peer.purpose ?? 'dht',
      callback,
      sentAtMs: undefined,
      givenUpAtMs: clock.monotonic() + limits.dhtHeldQueryMs,
      timer: undefined,
    }
    this.#transactions.set(tid, transaction)
    this.inflight++
    const sendable = transaction.to.address !== '' && familyOf(transaction.to.address) === 4
    if (this.#closed || !sendable || !watcher.wants(query)) {
      this.#failSoon(transaction, new QueryFailure('ECANCELED'))
      return
    }
    const waitMs = this.#trySend(transaction)
    if (waitMs === undefined) return
    this.#held.push(transaction)
    this.#heldTimer ??= clock.timer(waitMs, () => this.#sendHeld())
  }

  cancel(matches: (query: KrpcQuery) => boolean): void {
    for (const transaction of [...this.#transactions.values()]) {
      if (!matches(transaction.query)) continue
      if (transaction.sentAtMs === undefined) this.#end(transaction, new QueryFailure('ECANCELED'))
      else this.#settle(transaction, new QueryFailure('ECANCELED'))
    }
  }

  destroy(done: () => void = () => {}): void {
    this.#closed = true
    for (const transaction of [...this.#transactions.values()]) this.#end(transaction, new QueryFailure('ECANCELED'))
    this.#heldTimer?.cancel()
    this.#open().close().then(done, done)
  }

  #open(): GatedUdpSocket {
    return this.#socket as GatedUdpSocket
  }

  /** Unguessable, so that only who saw the query can answer it. */
  #freshTid(): number {
    for (;;) {
      const tid = Buffer.from(this.#components.random.bytes(4)).readUInt32BE()
      if (!this.#transactions.has(tid)) return tid
    }
  }

  /** Milliseconds to wait when the rate is used up; undefined when the query was sent or has failed. */
  #trySend(transaction: Transaction): number | undefined {
    const { clock, watcher } = this.#components
    const refusal = this.#open().send(transaction.bytes, transaction.to, transaction.purpose)
    if (refusal?.retryAfterMs !== undefined && clock.monotonic() < transaction.givenUpAtMs) return refusal.retryAfterMs
    if (refusal !== undefined) {
      this.#failSoon(transaction, new QueryFailure('EREFUSED', refusal))
      return undefined
    }
    transaction.sentAtMs = clock.monotonic()
    this.#awaitReply(transaction, transaction.sentAtMs)
    watcher.sent(transaction.query)
    return undefined
  }

  #sendHeld(): void {
    this.#heldTimer = undefined
    for (;;) {
      const transaction = this.#held[0]
      if (transaction === undefined) return
      const waitMs = transaction.callback === undefined ? undefined : this.#trySend(transaction)
      if (waitMs !== undefined) {
        this.#heldTimer = this.#components.clock.timer(waitMs, () => this.#sendHeld())
        return
      }
      this.#held.shift()
    }
  }

  #awaitReply(transaction: Transaction, sentAtMs: number): void {
    const { clock } = this.#components
    const restMs = sentAtMs + this.#timeout.ms - clock.monotonic()
    transaction.timer?.cancel()
    transaction.timer = clock.timer(Math.max(restMs, 0), () => this.#timedOut(transaction, sentAtMs))
  }

  /** What was learnt holds for the queries under way, too: the first lookup would wait long for the dead else. */
  #learn(roundTripMs: number): void {
    if (!this.#timeout.observe(roundTripMs)) return
    for (const transaction of this.#transactions.values()) {
      const { callback, sentAtMs } = transaction
      if (callback !== undefined && sentAtMs !== undefined) this.#awaitReply(transaction, sentAtMs)
    }
  }

  /** The caller stops waiting; we keep an ear open until no reply can be expected any more. */
  #timedOut(transaction: Transaction, sentAtMs: number): void {
    const { clock, meter } = this.#components
    const restMs = sentAtMs + limits.dhtQueryTimeoutMs - clock.monotonic()
    const forget = () => void this.#transactions.delete(transaction.tid)
    transaction.timer = clock.timer(restMs, forget, { keepAlive: false })
    meter.count('dht.timeout')
    this.#settle(transaction, new QueryFailure('ETIMEDOUT'))
  }

  /** k-rpc does not expect an outcome while it is still asking. */
  #failSoon(transaction: Transaction, failure: QueryFailure): void {
    queueMicrotask(() => this.#end(transaction, failure))
  }

  #end(transaction: Transaction, failure: QueryFailure | null, answer: KrpcAnswer | null = null): void {
    transaction.timer?.cancel()
    this.#transactions.delete(transaction.tid)
    this.#settle(transaction, failure, answer)
  }

  #settle(transaction: Transaction, failure: QueryFailure | null, answer: KrpcAnswer | null = null): void {
    const { callback, peer } = transaction
    if (callback === undefined) return
    transaction.callback = undefined
    this.inflight--
    callback(failure, answer, peer)
    this.emit('update')
    this.emit('postupdate')
  }

  #receive(bytes: Uint8Array, from: Endpoint): void {
    const { clock, gate, meter, watcher } = this.#components
    const matched = this.#match(bytes, from)
    if (typeof matched === 'string') {
      meter.count(`dht.dropped.${matched}`)
      return
    }
    const { transaction, sentAtMs, reply } = matched
    this.#learn(clock.monotonic() - sentAtMs)
    gate.policy.vouch(transaction.purpose, from)
    if (reply.kind === 'error') {
      meter.count('dht.error-reply')
      this.#end(transaction, new QueryFailure(reply.code))
      return
    }
    watcher.replied(transaction.query, reply, from)
    const { id } = reply
    if (transaction.peer.id && !transaction.peer.id.equals(id)) {
      this.#end(transaction, new QueryFailure('EUNEXPECTEDNODE'))
      return
    }
    // The routing table first, so that who waits for the answer finds the node in it.
    this.emit('response', { r: { id } }, { address: from.address, host: from.address, port: from.port })
    const contacts = this.#admissible(reply.nodes)
    this.#end(transaction, null, { r: { id, nodes: encodeContacts(contacts) }, contacts })
  }

  /** The query that a datagram answers, or why it is dropped. */
  #match(bytes: Uint8Array, from: Endpoint): Match | string {
    if (bytes.length > limits.krpcMessageBytes) return 'oversize'
    const message = decodeKrpc(bytes, this.#components.meter)
    if (message === undefined) return 'malformed'
    if (message.kind === 'query') return 'query'
    const transaction = message.tid.length === 4 ? this.#transactions.get(message.tid.readUInt32BE()) : undefined
    if (transaction?.sentAtMs === undefined) return 'unsolicited'
    if (endpointKey(transaction.to) !== endpointKey(from)) return 'wrong-endpoint'
    return { transaction, sentAtMs: transaction.sentAtMs, reply: message }
  }

  /** Contacts that may not be asked would hold slots among the nearest. */
  #admissible(contacts: readonly Contact[]): Contact[] {
    const { gate, meter } = this.#components
    return contacts.filter(({ endpoint }) => {
      const refusal = gate.policy.judge('dht', 'udp', endpoint)
      if (refusal !== undefined) meter.count(`dht.named.${refusal.reason}`)
      return refusal === undefined
    })
  }
}

function tidBytes(tid: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(tid)
  return bytes
}
