/**
 * The seams: everything ambient (time, randomness, sockets, names, logs) comes in through these interfaces, so that a
 * simulated network and clock can run the production objects. Node's implementations stand in seams-node.ts.
 */
import type { Duplex } from 'node:stream'
import type { Endpoint, Family } from './endpoint.ts'

/** A pending timer. `cancel` is idempotent and does nothing after the timer fired. */
export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Wall time, Unix milliseconds. May jump; use it for records only. */
  now(): number
  /** Milliseconds since an arbitrary start; never goes back. Use it for durations and deadlines. */
  monotonic(): number
  /** Calls `fire` once after `ms` milliseconds. `keepAlive: false` lets the process end while the timer is pending. */
  timer(ms: number, fire: () => void, options?: { keepAlive?: boolean }): Timer
}

export interface Random {
  /** `length` random bytes, fit for transaction ids and node ids. */
  bytes(length: number): Uint8Array
  /** A float in [0, 1). */
  float(): number
}

/** An open UDP socket of one family. */
export interface UdpSocket {
  readonly local: Endpoint
  /** Receive buffer that the system granted, in bytes (the system may grant less than was asked for). */
  readonly receiveBufferBytes: number
  /** Fire and forget. A failure to send is reported to `onError`. */
  send(bytes: Uint8Array, to: Endpoint): void
  /** Idempotent. No callback is called afterwards. */
  close(): Promise<void>
}

export interface UdpOptions {
  family: Family
  /** Local address; the family's wildcard when undefined. */
  address?: string | undefined
  /** Local port; 0 or undefined lets the system choose. */
  port?: number | undefined
  receiveBufferBytes?: number | undefined
  onMessage(bytes: Uint8Array, from: Endpoint): void
  onError(error: Error): void
}

export interface Udp {
  /** Rejects when the address cannot be bound. */
  open(options: UdpOptions): Promise<UdpSocket>
}

/** A TCP connection. `bytesRead` and `bytesWritten` count payload since it opened. */
export type TcpStream = Duplex & {
  readonly bytesRead: number
  readonly bytesWritten: number
  /** Our port, where the implementation tells. */
  readonly localPort?: number | undefined
}

export interface TcpListener {
  readonly local: Endpoint
  close(): Promise<void>
}

export interface Tcp {
  /** Rejects with a Node system error (`code`: ECONNREFUSED, EHOSTUNREACH, …) or with the signal's reason. */
  connect(to: Endpoint, options: { localAddress?: string | undefined; signal: AbortSignal }): Promise<TcpStream>
  listen(options: {
    address: string
    port: number
    onConnection(stream: TcpStream, from: Endpoint): void
  }): Promise<TcpListener>
}

export interface Resolver {
  /** The addresses of a host name, IPv4 and IPv6, canonical; a literal address resolves to itself. Rejects when there are none. */
  resolve(host: string, options: { signal: AbortSignal }): Promise<string[]>
}

export interface Logger {
  debug(message: string, fields?: Record<string, unknown>): void
  info(message: string, fields?: Record<string, unknown>): void
  warn(message: string, fields?: Record<string, unknown>): void
  error(message: string, fields?: Record<string, unknown>): void
}

/** Counters by name (`dht.dropped.malformed`), read by metrics and tests. */
export interface Meter {
  count(name: string, by?: number): void
}

/** The seams of one machine, real or simulated. */
export interface Host {
  clock: Clock
  random: Random
  udp: Udp
  tcp: Tcp
  resolver: Resolver
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} }

/** A meter that keeps its counts in `counts`. */
export function countingMeter(): Meter & { readonly counts: ReadonlyMap<string, number> } {
  const counts = new Map<string, number>()
  return {
    counts,
    count(name, by = 1) {
      counts.set(name, (counts.get(name) ?? 0) + by)
    },
  }
}
