/** The link of a simulated machine to its network: what UDP and TCP are built on. */
import type { Clock, Endpoint, Family } from '@swarmatlas/core'

export interface SimLink {
  readonly clock: Clock
  readonly segmentBytes: number
  /** Where a socket sends from that asked for `address` (undefined: any). Throws EADDRNOTAVAIL. */
  source(family: Family, address: string | undefined): string
  /** Registers a socket, choosing a port for 0. Throws EADDRINUSE. */
  bind(protocol: 'udp' | 'tcp', local: Endpoint, socket: unknown): Endpoint
  unbind(protocol: 'udp' | 'tcp', local: Endpoint): void
  /** The socket that listens there, on the address or its wildcard. */
  find(protocol: 'udp' | 'tcp', at: Endpoint): unknown
  /** True when a machine has that address: it refuses what nobody listens for. */
  owned(address: string): boolean
  /** Calls `arrive` after the pair's delay, unless one of the two is dead by then. */
  carry(from: string, to: string, arrive: () => void): void
  loses(): boolean
  count(what: 'datagrams' | 'connects', to: Endpoint): void
  countBytes(to: string, bytes: number): void
}

/** An error with the code that the system would give. */
export function systemError(code: string, detail: string): Error & { code: string } {
  return Object.assign(new Error(`${code}: ${detail}`), { code })
}
