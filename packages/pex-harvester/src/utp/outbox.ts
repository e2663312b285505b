/** The sending half of a uTP connection: packets that are not acknowledged yet, and which of them are lost. */
import { limits } from '@swarmatlas/core'
import type { PacketType } from './packet.ts'
import { plus, stepsTo } from './sequence.ts'

export interface Sent {
  readonly seq: number
  readonly type: PacketType
  readonly payload: Uint8Array
  /** Of the last transmission. */
  sentAtMs: number
  transmissions: number
  /** `due`: to be sent, or lost; `held`: the other side has it (selective ACK) but not all before it. */
  state: 'due' | 'flying' | 'held'
}

export interface Acknowledged {
  /** Payload. */
  readonly bytes: number
  readonly packets: number
  /** Of packets that were sent once. */
  readonly roundTripsMs: readonly number[]
  /** Packets have turned out to be lost. */
  readonly lost: boolean
}

export interface Outbox {
  /** The sequence number of the next packet. */
  readonly nextSeq: number
  /** Not acknowledged in order, held ones included. */
  readonly size: number
  /** Payload under way. */
  readonly flightBytes: number
  readonly oldest: Sent | undefined
  /** The first packet that is to be sent, or sent again. */
  readonly due: Sent | undefined
  add(type: PacketType, payload: Uint8Array): Sent
  transmitted(sent: Sent, nowMs: number): void
  /**
   * `duplicate`: the packet carried nothing else (BEP 29 counts those). The caller has checked that nothing is
   * acknowledged that was never sent; bits of the selective ACK that say so are ignored.
   */
  acknowledge(
    ack: number,
    sack: Uint8Array | undefined,
    options: { bare: boolean; nowMs: number; roundTripMs: number },
  ): Acknowledged
  /** A timeout passed: all that is under way counts as lost. */
  timedOut(): void
}

export function createOutbox(firstSeq: number): Outbox {
  /** In order and without gaps: the packet `seq` is at `stepsTo(oldest.seq, seq)`. */
  const packets: Sent[] = []
  let nextSeq = firstSeq
  let flightBytes = 0
  let duplicates = 0

  /** Flying is the state in which a packet counts as under way. */
  function change(sent: Sent, state: Sent['state']): void {
    if (sent.state === 'flying') flightBytes -= sent.payload.length
    sent.state = state
    if (state === 'flying') flightBytes += sent.payload.length
  }

  /**
   * Packets that the other side got although they were sent after them prove these lost; again after a round trip. Not
   * without end: acknowledgements are cheap for who wants to see packets repeated.
   */
  function markLost(nowMs: number, roundTripMs: number): boolean {
    let later = 0
    let found = false
    for (let i = packets.length - 1; i >= 0; i--) {
      const sent = packets[i] as Sent
      if (sent.state === 'held') later++
      const proofs = i === 0 ? Math.max(later, duplicates) : later
      const due = sent.transmissions === 1 || nowMs - sent.sentAtMs > roundTripMs
      if (sent.state !== 'flying' || proofs < limits.utpDuplicateAcks || !due) continue
      if (sent.transmissions >= limits.utpTransmissions) continue
      change(sent, 'due')
      found = true
    }
    return found
  }

  return {
    get nextSeq() {
      return nextSeq
    },
    get size() {
      return packets.length
    },
    get flightBytes() {
      return flightBytes
    },
    get oldest() {
      return packets[0]
    },
    get due() {
      return packets.find((sent) => sent.state === 'due')
    },
    add(type, payload) {
      const sent: Sent = { seq: nextSeq, type, payload, sentAtMs: 0, transmissions: 0, state: 'due' }
      packets.push(sent)
      nextSeq = plus(nextSeq, 1)
      return sent
    },
    transmitted(sent, nowMs) {
      sent.sentAtMs = nowMs
      sent.transmissions++
      change(sent, 'flying')
    },
    acknowledge(ack, sack, { bare, nowMs, roundTripMs }) {
      let bytes = 0
      let count = 0
      const roundTripsMs: number[] = []
      const arrived = (sent: Sent) => {
        if (sent.state === 'held') return
        bytes += sent.payload.length
        count++
        if (sent.transmissions === 1) roundTripsMs.push(nowMs - sent.sentAtMs)
        change(sent, 'held')
      }
      const before = plus(nextSeq, -packets.length - 1)
      const steps = stepsTo(before, ack)
      if (steps > 0) {
        for (const sent of packets.splice(0, steps)) arrived(sent)
        duplicates = 0
      } else if (steps === 0 && bare && packets.length > 0) duplicates++
      // An old selective ACK (steps < 0) may be read all the same: what came has come.
      if (sack !== undefined) {
        const first = stepsTo(plus(nextSeq, -packets.length), plus(ack, 2))
        const bits = Math.min(sack.length * 8, packets.length - first)
        for (let bit = Math.max(0, -first); bit < bits; bit++) {
          if (((sack[bit >> 3] as number) >> (bit & 7)) & 1) arrived(packets[first + bit] as Sent)
        }
      }
      return { bytes, packets: count, roundTripsMs, lost: markLost(nowMs, roundTripMs) }
    },
    timedOut() {
      for (const sent of packets) if (sent.state === 'flying') change(sent, 'due')
    },
  }
}
