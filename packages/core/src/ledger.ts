/**
 * The ledger: bytes and packets spent, by channel, headers included. UDP is exact (20/40 bytes IP, 8 bytes UDP, a
 * packet a datagram); TCP is estimated from payload and connection count, since Node shows no segments.
 */
import type { Family } from './endpoint.ts'

export type LedgerChannel = 'dht' | 'tracker' | 'pex'

export interface LedgerEntry {
  bytesIn: number
  bytesOut: number
  packetsIn: number
  packetsOut: number
}

const UDP_HEADER = 8
const IP_HEADER: Record<Family, number> = { 4: 20, 6: 40 }
/** TCP header with the timestamp option that all common systems use. */
const TCP_HEADER = 32
/** With maximum segment size, SACK, timestamp and window scale. */
const TCP_SYN_HEADER = 40
const TCP_RST_HEADER = 20
/** Payload of a full segment on Ethernet with timestamps (1500 - 20 - 32). */
const TCP_SEGMENT = 1448
/** SYN, SYN-ACK, ACK and both sides' FIN and ACK. */
const TCP_OPEN_CLOSE_PACKETS = { in: 3, out: 4 }

export class Ledger {
  readonly #entries = new Map<LedgerChannel, LedgerEntry>()
  /** Open streams whose payload is read when a total is asked for. */
  readonly #streams = new Map<LedgerStream, { channel: LedgerChannel; family: Family }>()

  datagram(channel: LedgerChannel, direction: 'in' | 'out', payloadBytes: number, family: Family): void {
    const entry = this.#entry(channel)
    const bytes = payloadBytes + UDP_HEADER + IP_HEADER[family]
    if (direction === 'in') {
      entry.bytesIn += bytes
      entry.packetsIn++
    } else {
      entry.bytesOut += bytes
      entry.packetsOut++
    }
  }

  /** A TCP attempt that did not open after `waitedMs`: a SYN out, sent again after 1, 3, 7 … s, and at most a RST in. */
  failedConnect(channel: LedgerChannel, family: Family, answered: boolean, waitedMs = 0): void {
    const entry = this.#entry(channel)
    const syns = answered ? 1 : 1 + Math.floor(Math.log2(1 + waitedMs / 1000))
    entry.bytesOut += syns * (IP_HEADER[family] + TCP_SYN_HEADER)
    entry.packetsOut += syns
    if (answered) {
      entry.bytesIn += IP_HEADER[family] + TCP_RST_HEADER
      entry.packetsIn++
    }
  }

  /** Counts a connection from now on, until `closed` is called. */
  opened(channel: LedgerChannel, family: Family, stream: LedgerStream): { closed(): void } {
    this.#streams.set(stream, { channel, family })
    return {
      closed: () => {
        if (this.#streams.delete(stream)) addStream(this.#entry(channel), stream, family)
      },
    }
  }

  /** Totals by channel, open connections included. */
  totals(): Record<LedgerChannel, LedgerEntry> {
    const copy = (channel: LedgerChannel) => ({ ...this.#entry(channel) })
    const totals = { dht: copy('dht'), tracker: copy('tracker'), pex: copy('pex') }
    for (const [stream, { channel, family }] of this.#streams) addStream(totals[channel], stream, family)
    return totals
  }

  #entry(channel: LedgerChannel): LedgerEntry {
    let entry = this.#entries.get(channel)
    if (entry === undefined) {
      entry = { bytesIn: 0, bytesOut: 0, packetsIn: 0, packetsOut: 0 }
      this.#entries.set(channel, entry)
    }
    return entry
  }
}

export interface LedgerStream {
  readonly bytesRead: number
  readonly bytesWritten: number
}

function addStream(entry: LedgerEntry, stream: LedgerStream, family: Family): void {
  const header = IP_HEADER[family] + TCP_HEADER
  const dataIn = Math.ceil(stream.bytesRead / TCP_SEGMENT)
  const dataOut = Math.ceil(stream.bytesWritten / TCP_SEGMENT)
  // Delayed acknowledgement: about one ACK for two segments of the other side.
  const packetsIn = TCP_OPEN_CLOSE_PACKETS.in + dataIn + Math.ceil(dataOut / 2)
  const packetsOut = TCP_OPEN_CLOSE_PACKETS.out + dataOut + Math.ceil(dataIn / 2)
  entry.bytesIn += stream.bytesRead + packetsIn * header
  entry.bytesOut += stream.bytesWritten + packetsOut * header
  entry.packetsIn += packetsIn
  entry.packetsOut += packetsOut
}
