/**
 * One UDP socket of one family that asks and hears answers. Nothing leaves but through the gate, nobody is asked too
 * often, nothing is believed that was not asked for, no query is answered (BEP 43).
 */
import {
  type Clock,
  type Endpoint,
  type Family,
  type Gate,
  type GatedUdpSocket,
  limits,
  type Meter,
  messageOf,
  type Purpose,
  type Random,
  type Refusal,
  SwarmatlasError,
} from '@swarmatlas/core'
import { decodeKrpc, type KrpcReply, type KrpcResponse } from './krpc-decode.ts'
import { encodeQuery, type KrpcQuery } from './krpc-encode.ts'
import { createNodeBook, type NodeBook, type NodeRecord, type UnansweredNode } from './node-book.ts'
import { createOwnId, type OwnId } from './own-id.ts'
import { createQueryRates, type QueryRates, unlimitedRates } from './query-rates.ts'
import { createReplyTimes, type RemoteClass, type ReplyTimes } from './reply-times.ts'
import { createTimerWheel, type TimerWheel } from './timer-wheel.ts'

export interface Question {
  readonly to: Endpoint
  readonly query: KrpcQuery
  /** The id under which the node was named; undefined when nobody named one. */
  readonly expectedId?: Buffer | undefined
  /** `dht` when undefined. */
  readonly purpose?: Purpose | undefined
}

export interface Answer {
  readonly kind: 'answer'
  readonly response: KrpcResponse
  readonly from: Endpoint
  /** It came from another port than the one asked: of use, but no node to remember (NAT). The node itself may answer yet. */
  readonly otherPort: boolean
  /** It gives another id than the one expected. */
  readonly otherId: boolean
}

export type QueryOutcome =
  | Answer
  /** Its place in the window is free; an answer may still come, else `lost` will. */
  | { readonly kind: 'silent' }
  /** Hardly anybody answers so late. An answer all the same is passed on. */
  | { readonly kind: 'lost' }
  | { readonly kind: 'error'; readonly code: number }
  | { readonly kind: 'cancelled' }

/** Why nothing was sent. */
export interface Unsent {
  readonly kind: 'unsent'
  readonly reason: Refusal['reason'] | 'unanswered' | 'busy' | 'rate' | 'budget' | 'closed' | 'family'
  /** Set when waiting helps. */
  readonly waitMs?: number
  readonly refusal?: Refusal
}

export interface SentQuery {
  readonly kind: 'sent'
  /** Nobody listens any more; an answer still teaches the socket. Idempotent. */
  abandon(): void
}

/** Takes a place in a budget of packets that all who send share: 0, or the milliseconds until there is one. */
export interface PacketBudget {
  take(): number
}

/** Who learns of every node that answered as it should, and of those that did not. */
export interface NodeWatcher {
  answered(id: Buffer, endpoint: Endpoint): void
  lost(endpoint: Endpoint, id: Buffer | undefined): void
}

export interface QuerySocketComponents {
  gate: Gate
  clock: Clock
  random: Random
  meter: Meter
  watcher: NodeWatcher
  budget?: PacketBudget | undefined
}

export interface QuerySocketOptions {
  family: Family
  /** The system chooses when 0. */
  port: number
  /** Nodes share few networks: no limits per address and network, and a shorter interval per node. */
  lab: boolean
  id?: Uint8Array | undefined
  unanswered?: readonly UnansweredNode[] | undefined
}

export interface QuerySocket {
  readonly family: Family
  readonly id: Buffer
  readonly local: Endpoint
  readonly receiveBufferBytes: number
  readonly sendErrors: number
  readonly lastSendError: string | undefined
  /** Sends now or not at all. `heard` is called later, with `silent` and `lost` before an answer if it is late. */
  ask(question: Question, heard: (outcome: QueryOutcome) => void): SentQuery | Unsent
  unanswered(): UnansweredNode[]
  close(): Promise<void>
}

/** Rejects with NO_NETWORK when the port cannot be had. */
export async function openQuerySocket(
  components: QuerySocketComponents,
  options: QuerySocketOptions,
): Promise<QuerySocket> {
  const socket = new GuardedSocket(components, options)
  try {
    await socket.open(options.port)
  } catch (cause) {
    const message = `UDP port ${options.port} cannot be opened: ${messageOf(cause)}`
    throw new SwarmatlasError('NO_NETWORK', message, { cause })
  }
  return socket
}

interface Transaction {
  readonly tid: number
  readonly to: Endpoint
  readonly expectedId: Buffer | undefined
  readonly purpose: Purpose
  readonly record: NodeRecord
  readonly remote: RemoteClass
  readonly sentMs: number
  stage: 'asked' | 'silent' | 'lost'
  /** One answer from another port of the address is heard. */
  heardOtherPort: boolean
  heard: ((outcome: QueryOutcome) => void) | undefined
}

const SILENT: QueryOutcome = { kind: 'silent' }
/** Random bytes drawn at a time; a multiple of 4. */
const TID_POOL_BYTES = 1_024
const LOST: QueryOutcome = { kind: 'lost' }

class GuardedSocket implements QuerySocket {
  readonly family: Family
  sendErrors = 0
  lastSendError: string | undefined
  #socket: GatedUdpSocket | undefined
  #closed: Promise<void> | undefined
  /** By transaction id, from the sending until no answer can be expected any more. */
  readonly #transactions = new Map<number, Transaction>()
  readonly #wheel: TimerWheel<Transaction>
  readonly #book: NodeBook
  readonly #rates: QueryRates
  readonly #times: ReplyTimes = createReplyTimes()
  readonly #ownId: OwnId
  readonly #nodeIntervalMs: number
  #tids: Buffer = Buffer.alloc(0)
  #tidsUsed = 0
  readonly #components: QuerySocketComponents

  constructor(components: QuerySocketComponents, { family, lab, id, unanswered }: QuerySocketOptions) {
    this.family = family
    this.#components = components
    this.#ownId = createOwnId(components, { family, saved: id })
    this.#book = createNodeBook(components, unanswered)
    this.#rates = lab ? unlimitedRates : createQueryRates(components)
    this.#nodeIntervalMs = lab ? limits.dhtNodeIntervalLabMs : limits.dhtNodeIntervalMs
    this.#wheel = createTimerWheel(components, { due: (transaction) => this.#due(transaction) })
  }

  async open(port: number): Promise<void> {
    this.#socket = await this.#components.gate.udp({
      channel: 'dht',
      family: this.family,
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

  get id(): Buffer {
    return this.#ownId.bytes
  }
  get local(): Endpoint {
    return this.#open.local
  }
  get receiveBufferBytes(): number {
    return this.#open.receiveBufferBytes
  }
  get #open(): GatedUdpSocket {
    return this.#socket as GatedUdpSocket
  }

  ask(question: Question, heard: (outcome: QueryOutcome) => void): SentQuery | Unsent {
    const { clock, meter } = this.#components
    const { to, query, expectedId, purpose = 'dht' } = question
    const record = this.#book.of(to)
    const tid = this.#freshTid()
    const unsent = this.#obstacle(question, record) ?? this.#send(encodeQuery(tid, this.id, query), to, purpose)
    if (unsent !== undefined) {
      meter.count(`dht.unsent.${unsent.reason}`)
      return unsent
    }
    const sentMs = clock.monotonic()
    record.askedMs = sentMs
    this.#rates.count(to.address)
    const remote = record.answered ? 'known' : 'new'
    const transaction: Transaction = {
      tid,
      to,
      expectedId,
      purpose,
      record,
      remote,
      sentMs,
      stage: 'asked',
      heardOtherPort: false,
      heard,
    }
    this.#transactions.set(tid, transaction)
    this.#wheel.add(transaction, limits.dhtTimeoutFloorMs)
    const abandon = () => {
      transaction.heard = undefined
    }
    return { kind: 'sent', abandon }
  }

  unanswered(): UnansweredNode[] {
    return this.#book.unanswered()
  }

  close(): Promise<void> {
    this.#closed ??= (() => {
      this.#wheel.close()
      const open = [...this.#transactions.values()]
      this.#transactions.clear()
      for (const { heard } of open) heard?.({ kind: 'cancelled' })
      return this.#open.close()
    })()
    return this.#closed
  }

  /** Manners: what speaks against asking this node now. */
  #obstacle({ to }: Question, record: NodeRecord): Unsent | undefined {
    if (this.#closed !== undefined) return { kind: 'unsent', reason: 'closed' }
    if (this.#book.isShunned(record)) return { kind: 'unsent', reason: 'unanswered' }
    const busyMs = record.askedMs + this.#nodeIntervalMs - this.#components.clock.monotonic()
    if (busyMs > 0) return { kind: 'unsent', reason: 'busy', waitMs: busyMs }
    const rateMs = this.#rates.waitMs(to.address)
    if (rateMs > 0) return { kind: 'unsent', reason: 'rate', waitMs: rateMs }
    return undefined
  }

  #send(bytes: Uint8Array, to: Endpoint, purpose: Purpose): Unsent | undefined {
    const budgetMs = this.#components.budget?.take() ?? 0
    if (budgetMs > 0) return { kind: 'unsent', reason: 'budget', waitMs: budgetMs }
    const refusal = this.#open.send(bytes, to, purpose)
    if (refusal === undefined) return undefined
    const { reason, retryAfterMs: waitMs } = refusal
    return { kind: 'unsent', reason, refusal, ...(waitMs !== undefined && { waitMs }) }
  }

  #freshTid(): number {
    for (;;) {
      // Drawn by the kilobyte: a draw of four bytes costs as much.
      if (this.#tidsUsed >= this.#tids.length) {
        this.#tids = Buffer.from(this.#components.random.bytes(TID_POOL_BYTES))
        this.#tidsUsed = 0
      }
      const tid = this.#tids.readUInt32BE(this.#tidsUsed)
      this.#tidsUsed += 4
      if (!this.#transactions.has(tid)) return tid
    }
  }

  /** Timeouts move while a query is under way: it is looked at again and again, and goes by what is known by then. */
  #due(transaction: Transaction): void {
    const { clock, meter } = this.#components
    if (this.#transactions.get(transaction.tid) !== transaction) return
    const { remote, sentMs, record } = transaction
    const aloneMs = clock.monotonic() - sentMs
    if (transaction.stage === 'asked' && aloneMs >= this.#times.slotMs(remote)) {
      transaction.stage = 'silent'
      record.unanswered++
      record.unansweredMs = sentMs
      meter.count('dht.timeout')
      transaction.heard?.(SILENT)
    }
    if (transaction.stage === 'silent' && aloneMs >= this.#times.patienceMs(remote)) {
      transaction.stage = 'lost'
      this.#components.watcher.lost(transaction.to, transaction.expectedId)
      transaction.heard?.(LOST)
    }
    if (aloneMs >= limits.dhtQueryTimeoutMs) this.#transactions.delete(transaction.tid)
    else this.#wheel.add(transaction, this.#nextLookMs(transaction, aloneMs))
  }

  #nextLookMs({ stage, remote }: Transaction, aloneMs: number): number {
    if (stage === 'asked') return Math.min(this.#times.slotMs(remote) - aloneMs, limits.dhtTimeoutFloorMs)
    if (stage === 'silent') return this.#times.patienceMs(remote) - aloneMs
    return limits.dhtQueryTimeoutMs - aloneMs
  }

  #receive(bytes: Uint8Array, from: Endpoint): void {
    const matched = this.#match(bytes, from)
    if (typeof matched === 'string') this.#components.meter.count(`dht.dropped.${matched}`)
    else if (matched.reply.kind === 'error') this.#failed(matched.transaction, matched.reply.code)
    else this.#answered(matched.transaction, matched.reply, from)
  }

  /** The query that a datagram answers, or why it is dropped. */
  #match(bytes: Uint8Array, from: Endpoint): { transaction: Transaction; reply: KrpcReply } | string {
    if (bytes.length > limits.krpcMessageBytes) return 'oversize'
    const message = decodeKrpc(bytes, this.#components.meter)
    if (message === undefined) return 'malformed'
    if (message.kind === 'query') return 'query'
    const transaction = message.tid.length === 4 ? this.#transactions.get(message.tid.readUInt32BE()) : undefined
    if (transaction === undefined) return 'unsolicited'
    const { to, heardOtherPort } = transaction
    if (to.address !== from.address) return 'wrong-address'
    if (to.port !== from.port && (message.kind === 'error' || heardOtherPort)) return 'wrong-port'
    return { transaction, reply: message }
  }

  #failed(transaction: Transaction, code: number): void {
    this.#components.meter.count('dht.error-reply')
    this.#learn(transaction)
    this.#transactions.delete(transaction.tid)
    transaction.heard?.({ kind: 'error', code })
  }

  #answered(transaction: Transaction, response: KrpcResponse, from: Endpoint): void {
    const { gate, meter, watcher } = this.#components
    const { to, expectedId, purpose, stage, heard } = transaction
    const otherPort = to.port !== from.port
    const otherId = expectedId !== undefined && !expectedId.equals(response.id)
    if (otherPort) {
      // Whoever knows the transaction may be the node behind a NAT, or near it: the node itself may still answer.
      meter.count('dht.other-port')
      transaction.heardOtherPort = true
    } else {
      this.#learn(transaction)
      this.#transactions.delete(transaction.tid)
      gate.policy.vouch(purpose, from)
      if (response.ip !== undefined) this.#ownId.claimed(response.ip, from)
      if (otherId) meter.count('dht.other-id')
      // A bootstrap node is there for everybody: it never becomes one of ours.
      else if (purpose !== 'bootstrap') watcher.answered(response.id, from)
      if (otherId) watcher.lost(from, expectedId)
    }
    if (stage !== 'asked') meter.count('dht.late-reply')
    heard?.({ kind: 'answer', response, from, otherPort, otherId })
  }

  #learn({ record, remote, sentMs }: Transaction): void {
    record.answered = true
    record.unanswered = 0
    this.#times.observe(remote, this.#components.clock.monotonic() - sentMs)
  }
}
