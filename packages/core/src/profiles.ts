/** Profiles: how hard Swarmatlas may work, as data. `--profile` chooses one; the address policy and the mapper obey it. */
import type { HostPort } from './endpoint.ts'
import { limits } from './limits.ts'

export type ProfileName = 'aws' | 'server' | 'home' | 'lab'

export interface Profile {
  readonly name: ProfileName
  /** Endpoints not contacted in the last hour that may be contacted per minute: home routers die of new flows, not of bytes. */
  readonly newEndpointsPerMinute: number
  /** Wire sessions open at once, dials included. */
  readonly sessions: number
  /** Distinct ports of one address that may be contacted per hour and purpose; each handshake there adds as many again. */
  readonly portsPerAddress: number
  /** First contacts in one /24 (/48) per hour and purpose: above it a hoster sees a port scan. */
  readonly firstContactsPerPrefix: number
  /** DHT queries in flight; half of them wait for the dead. What the receive buffer cannot take the replies of is left out. */
  readonly dhtConcurrency: number
}

export const profiles: Readonly<Record<ProfileName, Profile>> = {
  aws: {
    name: 'aws',
    newEndpointsPerMinute: 12_000,
    sessions: 200,
    portsPerAddress: 8,
    firstContactsPerPrefix: 64,
    dhtConcurrency: 256,
  },
  server: {
    name: 'server',
    newEndpointsPerMinute: 12_000,
    sessions: 200,
    portsPerAddress: 8,
    firstContactsPerPrefix: 64,
    dhtConcurrency: 256,
  },
  home: {
    name: 'home',
    newEndpointsPerMinute: 480,
    sessions: 40,
    portsPerAddress: 8,
    firstContactsPerPrefix: 32,
    dhtConcurrency: 16,
  },
  // No per-prefix and per-address limits: a lab's peers share few networks.
  lab: {
    name: 'lab',
    newEndpointsPerMinute: Number.POSITIVE_INFINITY,
    sessions: 200,
    portsPerAddress: Number.POSITIVE_INFINITY,
    firstContactsPerPrefix: Number.POSITIVE_INFINITY,
    dhtConcurrency: 1_024,
  },
}

/** Connections that others may open to us, given the descriptors that the process has and those that our own sessions may take. */
export function inboundConnections(given: { descriptors: number | undefined; sessions: number }): number {
  // What every system grants, where it is not known.
  const { descriptors = limits.descriptorsUnknown, sessions } = given
  const left = descriptors - sessions - limits.descriptorsReserved
  return Math.max(limits.inboundConnectionsLeast, Math.min(left, limits.inboundConnections))
}

/** Where the DHT is entered when `--bootstrap` names nothing else. Several operators, since any of them may be down. */
export const defaultBootstrap: readonly HostPort[] = [
  { host: 'router.bittorrent.com', port: 6881 },
  { host: 'dht.libtorrent.org', port: 25401 },
  { host: 'dht.transmissionbt.com', port: 6881 },
  { host: 'router.utorrent.com', port: 6881 },
  { host: 'dht.aelitis.com', port: 6881 },
]
