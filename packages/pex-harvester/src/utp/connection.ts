/**
 * One uTP connection (BEP 29): its states, its timer, and when what is sent. It knows packets and ids, but
 * neither sockets nor streams. Known clients follow libutp rather than the BEP's diagram in one point, and so does this:
 * the STATE that answers a SYN takes no sequence number, so the first DATA of the acceptor has the same one.
 */
import { type Clock, limits, type Meter, type Random, type Refusal, type Timer } from '@swarmatlas/core'
import { createByteQueue } from './byte-queue.ts'
import { createCongestionWindow } from './congestion.ts'
import { createInbox, type Inbox } from './inbox.ts'
import { createOutbox, type Outbox, type Sent } from './outbox.ts'
import { encodePacket, HEADER_BYTES, type Packet, type PacketType, TYPE } from './packet.ts'
import { createRoundTrip } from './round-trip.ts'
import { plus, stepsTo } from './sequence.ts'

export interface ConnectionComponents {
  clock: Clock
  random: Random
  meter: Meter
  /** To the other endpoint. */
  send(bytes: Uint8Array): Refusal | undefined
  handlers: ConnectionHandlers
}

export interface ConnectionHandlers {
  /** Both sides are known to want it. */
  opened(): void
  /** The next bytes, in order. */
  data(bytes: Uint8Array): void
  /** The peer's FIN and all before it came. */
  ended(): void
  /** Bytes handed on that nobody has read. */
  unread(): number
  /** Queued bytes, or the FIN, were sent. */
  sent(): void
  /** Over; called once, and nothing after it. `code` when it broke: ECONNREFUSED, ECONNRESET or ETIMEDOUT. */
  gone(code: string | undefined): void
}

export interface Connection {
  /** The id in packets to us, and in packets from us. */
  readonly receiveId: number
  readonly sendId: number
  readonly queuedBytes: number
  readonly finSent: boolean
  /** Sends the SYN. After a refusal the connection is of no use. */
  open(): Refusal | undefined
  /** A packet that names this connection. */
  receive(packet: Packet): void
  write(bytes: Uint8Array): void
  /** Sends FIN after all that was written. */
  end(): void
  /** Somebody has read. */
  read(): void
  /** Nobody listens any more: unsent bytes are dropped, FIN is sent, and what comes back is answered with RESET. */
  close(): void
  /** As `close`, without waiting for an answer. */
  abandon(): void
}

const PAYLOAD_BYTES = limits.utpPacketBytes - HEADER_BYTES
const EMPTY = new Uint8Array()

/** `syn`: the packet that is being answered; without it the connection is ours to open under `id`. */
export function createConnection(
  components: ConnectionComponents,
  { id, syn }: { id: number; syn?: Packet | undefined },
): Connection {
  return new UtpConnection(components, id, syn)
}

class UtpConnection implements Connection {
  readonly receiveId: number
  readonly sendId: number
  finSent = false
  #state: 'connecting' | 'accepting' | 'open' | 'gone'
  readonly #components: ConnectionComponents
  readonly #outbox: Outbox
  #inbox: Inbox | undefined
  readonly #queue = createByteQueue()
  readonly #roundTrip = createRoundTrip()
  readonly #congestion = createCongestionWindow(PAYLOAD_BYTES)
  #peerWindowBytes = 0
  /** What the next packet says of the peer's last. */
  #differenceUs = 0
  #announcedWindowBytes: number = limits.utpReceiveWindowBytes
  #finWanted = false
  #closed = false
  #ackDue = false
  #flushing = false
  #timer: { readonly atMs: number; readonly pending: Timer } | undefined
  /** When the connection last got further, or tried to. */
  #progressAtMs: number
  #giveUpAtMs = Number.POSITIVE_INFINITY

  constructor(components: ConnectionComponents, id: number, syn: Packet | undefined) {
    const { random, clock } = components
    this.#components = components
    this.#progressAtMs = clock.monotonic()
    // Random, so that only who saw it can acknowledge it.
    const [high = 0, low = 0] = random.bytes(2)
    this.#outbox = createOutbox((high << 8) | low)
    this.#state = syn === undefined ? 'connecting' : 'accepting'
    this.receiveId = syn === undefined ? id : plus(id, 1)
    this.sendId = syn === undefined ? plus(id, 1) : id
    if (syn === undefined) return
    this.#giveUpAtMs = this.#progressAtMs + limits.utpHalfOpenMs
    this.#expect(syn.seq)
    this.#compareClocks(syn)
    this.#acknowledgeSoon()
  }

  get queuedBytes(): number {
    return this.#queue.bytes
  }

  open(): Refusal | undefined {
    const refusal = this.#transmit(this.#outbox.add(TYPE.syn, EMPTY))
    if (refusal === undefined) this.#schedule()
    return refusal
  }

  receive(packet: Packet): void {
    if (this.#state === 'gone') return
    if (packet.type === TYPE.syn) {
      // Our answer got lost. Another SYN under these ids is none of ours.
      if (this.#state === 'accepting' && packet.seq === this.#inbox?.ack) this.#acknowledgeSoon()
      return
    }
    if (!this.#plausible(packet.ack)) {
      this.#components.meter.count('utp.dropped.ack')
      return
    }
    if (packet.type === TYPE.reset) {
      this.#gone(this.#state === 'connecting' ? 'ECONNREFUSED' : 'ECONNRESET')
      return
    }
    if (this.#state === 'connecting') {
      // Until its STATE came we do not know what the peer's sequence numbers mean.
      if (packet.type !== TYPE.state) return
      this.#expect(plus(packet.seq, -1))
    }
    this.#compareClocks(packet)
    this.#acknowledged(packet)
    if (this.#state !== 'open') {
      this.#state = 'open'
      this.#giveUpAtMs = Number.POSITIVE_INFINITY
      this.#components.handlers.opened()
    }
    this.#take(packet)
    this.#flushSoon()
  }

  write(bytes: Uint8Array): void {
    this.#queue.push(bytes)
    this.#flushSoon()
  }

  end(): void {
    this.#finWanted = true
    this.#flushSoon()
  }

  read(): void {
    const windowBytes = this.#inbox?.windowBytes ?? 0
    // The peer has stopped, or will soon, for want of room.
    if (this.#announcedWindowBytes < 2 * PAYLOAD_BYTES && windowBytes >= 2 * PAYLOAD_BYTES) this.#acknowledgeSoon()
  }

  close(): void {
    if (this.#closed || this.#state === 'gone') return
    this.#closed = true
    if (this.#state !== 'open') {
      this.abandon()
      return
    }
    if (!this.finSent) this.#giveUpAtMs = this.#components.clock.monotonic() + limits.utpFarewellMs
    this.#queue.clear()
    this.#finWanted = true
    this.#flush()
  }

  abandon(): void {
    if (this.#state === 'gone') return
    if (this.#state === 'open') {
      if (!this.finSent) this.#sendPacket(TYPE.fin, this.#outbox.nextSeq, EMPTY)
    } else if (this.#inbox !== undefined) this.#sendPacket(TYPE.reset, this.#outbox.nextSeq, EMPTY)
    this.#gone(undefined)
  }

  #expect(lastSeq: number): void {
    const { meter, handlers } = this.#components
    const unread = () => (this.#closed ? 0 : handlers.unread())
    this.#inbox = createInbox({ meter, handlers: { data: handlers.data, end: handlers.ended, unread } }, { lastSeq })
  }

  /** Acknowledges something that we sent, not too long ago: a packet from elsewhere rarely does. */
  #plausible(ack: number): boolean {
    const last = plus(this.#outbox.nextSeq, -1)
    const behind = stepsTo(ack, last)
    if (this.#state !== 'open') return behind === 0
    return behind >= 0 && behind <= this.#outbox.size + limits.utpPacketsInFlight
  }

  #compareClocks(packet: Packet): void {
    this.#differenceUs = (this.#nowUs() - packet.timestampUs) >>> 0
  }

  #acknowledged(packet: Packet): void {
    const outbox = this.#outbox
    const nowMs = this.#components.clock.monotonic()
    const roundTripMs = this.#roundTrip.smoothMs
    const full = outbox.flightBytes + PAYLOAD_BYTES > this.#congestion.bytes
    const bare = packet.type === TYPE.state
    // The window of a packet that was overtaken is out of date.
    const overtaken = stepsTo(packet.ack, plus(outbox.nextSeq, -outbox.size - 1)) > 0
    if (!overtaken) this.#peerWindowBytes = packet.windowBytes
    const { bytes, packets, roundTripsMs, lost } = outbox.acknowledge(packet.ack, packet.sack, {
      bare,
      nowMs,
      roundTripMs,
    })
    for (const ms of roundTripsMs) this.#roundTrip.observe(ms)
    if (packets > 0) {
      this.#progressAtMs = nowMs
      this.#roundTrip.progressed()
      this.#congestion.acknowledged(bytes, { delayUs: packet.differenceUs, full })
    }
    if (lost) this.#congestion.lost(nowMs, roundTripMs)
  }

  #take(packet: Packet): void {
    if (packet.type === TYPE.state || this.#inbox === undefined) return
    // Only what is new: a late duplicate of what was taken says nothing.
    if (this.#closed && packet.payload.length > 0 && stepsTo(this.#inbox.ack, packet.seq) > 0) {
      this.#sendPacket(TYPE.reset, this.#outbox.nextSeq, EMPTY)
      this.#gone(undefined)
      return
    }
    this.#ackDue = true
    this.#inbox.take(packet.seq, packet.payload, packet.type === TYPE.fin)
  }

  #acknowledgeSoon(): void {
    this.#ackDue = true
    this.#flushSoon()
  }

  /** After the current callback: what is written in answer then carries the acknowledgement, in as few packets as can be. */
  #flushSoon(): void {
    if (this.#flushing || this.#state === 'gone') return
    this.#flushing = true
    queueMicrotask(() => {
      this.#flushing = false
      this.#flush()
    })
  }

  #flush(): void {
    if (this.#state === 'open') this.#sendDue()
    if (this.#state === 'gone') return
    if (this.#ackDue) this.#sendPacket(TYPE.state, this.#outbox.nextSeq, EMPTY)
    if (this.#closed && this.finSent && this.#outbox.size === 0) this.#gone(undefined)
    else this.#schedule()
  }

  #sendDue(): void {
    const outbox = this.#outbox
    for (let due = outbox.due; due !== undefined; due = outbox.due) {
      if (outbox.flightBytes + due.payload.length > this.#congestion.bytes) return
      this.#transmit(due)
    }
    while (this.#queue.bytes > 0) {
      const size = Math.min(this.#queue.bytes, PAYLOAD_BYTES)
      const room = Math.min(this.#congestion.bytes, this.#peerWindowBytes) - outbox.flightBytes
      if (size > room || outbox.size >= limits.utpPacketsInFlight) return
      this.#transmit(outbox.add(TYPE.data, this.#queue.take(size)))
      if (!this.#closed) this.#components.handlers.sent()
    }
    if (!this.#finWanted || this.finSent || this.#state !== 'open') return
    this.finSent = true
    this.#transmit(outbox.add(TYPE.fin, EMPTY))
    if (!this.#closed) this.#components.handlers.sent()
  }

  #transmit(sent: Sent): Refusal | undefined {
    const nowMs = this.#components.clock.monotonic()
    if (sent.transmissions === 0 && this.#outbox.size === 1) this.#progressAtMs = nowMs
    if (sent.transmissions > 0) this.#components.meter.count('utp.retransmitted')
    this.#outbox.transmitted(sent, nowMs)
    return this.#sendPacket(sent.type, sent.seq, sent.payload)
  }

  #sendPacket(type: PacketType, seq: number, payload: Uint8Array): Refusal | undefined {
    const inbox = this.#inbox
    const windowBytes = inbox?.windowBytes ?? limits.utpReceiveWindowBytes
    this.#announcedWindowBytes = windowBytes
    // Only bare packets carry a selective ACK (beside data it would make the packet too large) or count as duplicate.
    const sack = inbox?.sack()
    const bare = type === TYPE.state
    if (bare || sack === undefined) this.#ackDue = false
    const header = {
      type,
      connectionId: type === TYPE.syn ? this.receiveId : this.sendId,
      timestampUs: this.#nowUs(),
      differenceUs: this.#differenceUs,
      windowBytes,
      seq,
      ack: inbox?.ack ?? 0,
    }
    return this.#components.send(encodePacket(header, bare ? sack : undefined, payload))
  }

  #nowUs(): number {
    return Math.floor(this.#components.clock.monotonic() * 1000) % 2 ** 32
  }

  /** When there is something to do though nothing comes. */
  #dueAtMs(): number {
    const waiting = this.#outbox.size > 0 || (this.#state === 'open' && this.#queue.bytes > 0)
    const retransmitAtMs = waiting ? this.#progressAtMs + this.#roundTrip.timeoutMs : Number.POSITIVE_INFINITY
    return Math.min(retransmitAtMs, this.#giveUpAtMs)
  }

  #schedule(): void {
    const atMs = this.#dueAtMs()
    // A timer that fires too early costs less than one that is set anew with every packet.
    if (atMs === Number.POSITIVE_INFINITY || (this.#timer !== undefined && this.#timer.atMs <= atMs)) return
    this.#timer?.pending.cancel()
    const waitMs = Math.max(atMs - this.#components.clock.monotonic(), 0)
    this.#timer = { atMs, pending: this.#components.clock.timer(waitMs, () => this.#alarm()) }
  }

  #alarm(): void {
    this.#timer = undefined
    const nowMs = this.#components.clock.monotonic()
    const { oldest } = this.#outbox
    const mostTransmissions = this.#state === 'connecting' ? limits.utpSynTransmissions : limits.utpTransmissions
    if (nowMs >= this.#giveUpAtMs) this.#gone(undefined)
    else if (nowMs < this.#dueAtMs()) this.#schedule()
    else if (oldest !== undefined && oldest.transmissions >= mostTransmissions) this.#gone('ETIMEDOUT')
    else this.#timedOut(oldest, nowMs)
  }

  #timedOut(oldest: Sent | undefined, nowMs: number): void {
    this.#progressAtMs = nowMs
    this.#roundTrip.timedOut()
    if (oldest !== undefined) {
      this.#congestion.timedOut()
      this.#outbox.timedOut()
      this.#transmit(oldest)
    } else {
      // The peer closed its window; the message that opened it may be lost.
      this.#transmit(this.#outbox.add(TYPE.data, this.#queue.take(PAYLOAD_BYTES)))
      if (!this.#closed) this.#components.handlers.sent()
    }
    this.#schedule()
  }

  #gone(code: string | undefined): void {
    this.#state = 'gone'
    this.#timer?.pending.cancel()
    this.#timer = undefined
    this.#queue.clear()
    this.#components.handlers.gone(code)
  }
}
