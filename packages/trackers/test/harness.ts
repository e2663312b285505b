/** A client on a host of choice, with all it needs. */
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  type AddressPolicy,
  type AddressPolicyOptions,
  countingMeter,
  createAddressPolicy,
  createGate,
  type Family,
  type Host,
  type InfoHash,
  type Meter,
  profiles,
  silentLogger,
} from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { createTrackerClient, memoryJournal, type TrackerClient, type TrackerJournal } from '../src/index.ts'

export const SWARM = '0123456789abcdef0123456789abcdef01234567' as InfoHash
export const OTHER_SWARM = 'ffffffffffffffffffffffffffffffffffffffff' as InfoHash
export const PEER_ID: Uint8Array = Buffer.from('-SA0001-abcdefghijkl')
export const PORT = 51_413
export const KEY = 0x01020304

export interface HarnessOptions {
  host?: Host
  journal?: TrackerJournal
  policy?: Partial<AddressPolicyOptions>
  addressPolicy?: AddressPolicy
  families?: Family[]
  ca?: string[]
}

export interface Harness extends AsyncDisposable {
  readonly client: TrackerClient
  readonly journal: TrackerJournal
  readonly counts: ReadonlyMap<string, number>
  /** Announces with left = 1 and without an abort. */
  announce(url: string, swarm?: InfoHash): ReturnType<TrackerClient['announce']>
}

export function harness({
  host = nodeHost(),
  journal = memoryJournal(),
  policy,
  addressPolicy,
  families,
  ca,
}: HarnessOptions = {}): Harness {
  const meter: Meter & { counts: ReadonlyMap<string, number> } = countingMeter()
  const { clock, random } = host
  const gate = createGate(
    {
      host,
      meter,
      policy: addressPolicy ?? createAddressPolicy({ clock }, { profile: profiles.lab, allowPrivate: true, ...policy }),
    },
    { families },
  )
  const client = createTrackerClient(
    { gate, clock, random, logger: silentLogger, meter, journal },
    { peerId: PEER_ID, port: PORT, key: KEY, ...(ca === undefined ? {} : { ca }) },
  )
  return {
    client,
    journal,
    counts: meter.counts,
    announce: (url, swarm = SWARM) => client.announce(url, swarm, { left: 1, signal: forever() }),
    [Symbol.asyncDispose]: () => client.close(),
  }
}

export function forever(): AbortSignal {
  return new AbortController().signal
}

export interface TestServer extends AsyncDisposable {
  /** Without a path. */
  readonly origin: string
  /** Paths with queries, in the order they came. */
  readonly requests: string[]
}

/** An HTTP server on loopback. */
export async function httpServer(listener: RequestListener, address = '127.0.0.1'): Promise<TestServer> {
  const requests: string[] = []
  const server = createHttpServer((request, response) => {
    requests.push(request.url ?? '')
    listener(request, response)
  })
  await new Promise<void>((listening) => server.listen(0, address, listening))
  const { port } = server.address() as AddressInfo
  return {
    origin: `http://${address.includes(':') ? `[${address}]` : address}:${port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
}

/** The `event` of each request, `none` where it has none. */
export function eventsOf(requests: readonly string[]): string[] {
  return requests.map((request) => new URL(request, 'http://tracker').searchParams.get('event') ?? 'none')
}
