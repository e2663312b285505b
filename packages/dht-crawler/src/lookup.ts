/** One lookup of one hash: what its replies say, kept as a log that any number of consumers follow from the start. */
import {
  type Clock,
  type Endpoint,
  endpointKey,
  type Gate,
  type InfoHash,
  type LookupSummary,
  limits,
  type Meter,
  type Observation,
  type ObservationFlag,
  type Teller,
} from '@swarmatlas/core'
import type { KrpcResponse } from './krpc.ts'

/** rTorrent's DHT gives the ports of `values` in host order. */
const SWAPS_PORTS = Buffer.from('lt\x0d\x80', 'latin1')

export interface Lookup {
  readonly swarm: InfoHash
  readonly ended: boolean
  /** Distinct endpoints named so far. */
  readonly peers: number
  queries: number
  replied(response: KrpcResponse, from: Endpoint): void
  /** Ends the generators of all consumers once they have given out what is known. Idempotent. */
  end(): void
  /** Everything observed, from the first on, until the lookup ends; what is left of it is skipped when `signal` aborts. */
  follow(signal: AbortSignal): AsyncGenerator<Observation, LookupSummary>
}

export function createLookup(
  { clock, gate, meter }: { clock: Clock; gate: Gate; meter: Meter },
  { swarm }: { swarm: InfoHash },
): Lookup {
  const startedMs = clock.monotonic()
  const log: Observation[] = []
  const peers = new Set<string>()
  /** What each teller has named. */
  const tellers = new Map<string, Set<string>>()
  const waiting = new Set<() => void>()
  let replies = 0
  let endedMs: number | undefined

  function wakeAll(): void {
    for (const wake of waiting) wake()
    waiting.clear()
  }

  function observe(value: Endpoint, teller: Teller, told: Set<string>, swapped: boolean): void {
    const peer = swapped ? { address: value.address, port: swapBytes(value.port) } : value
    const key = endpointKey(peer)
    if (told.has(key)) return
    const foreign = gate.policy.judge('peer', 'tcp', peer)?.reason === 'address'
    if (foreign || log.length >= limits.dhtObservationsPerLookup) {
      meter.count(foreign ? 'dht.value.address' : 'dht.capped.observations')
      return
    }
    told.add(key)
    peers.add(key)
    const flags: ObservationFlag[] = []
    if (peer.port <= 1) flags.push('suspect-port')
    if (swapped) flags.push('swapped-port')
    log.push({ atMs: clock.now(), swarm, channel: 'dht', teller, peer, flags })
  }

  function summary(): LookupSummary {
    const durationMs = (endedMs ?? clock.monotonic()) - startedMs
    return { queries: lookup.queries, replies, holders: tellers.size, peers: peers.size, durationMs }
  }

  const lookup: Lookup = {
    swarm,
    queries: 0,
    get ended() {
      return endedMs !== undefined
    },
    get peers() {
      return peers.size
    },

    replied({ id, values, version }, from) {
      replies++
      if (values.length === 0) return
      const teller: Teller = { kind: 'dht-node', id: id.toString('hex'), endpoint: from }
      const key = endpointKey(from)
      const told = tellers.get(key) ?? new Set()
      tellers.set(key, told)
      const swapped = version?.subarray(0, SWAPS_PORTS.length).equals(SWAPS_PORTS) === true
      for (const value of values) observe(value, teller, told, swapped)
      wakeAll()
    },

    end() {
      endedMs ??= clock.monotonic()
      wakeAll()
    },

    async *follow(signal) {
      signal.addEventListener('abort', wakeAll, { once: true })
      try {
        for (let next = 0; !signal.aborted; ) {
          const observation = log[next]
          if (observation !== undefined) {
            next++
            yield observation
          } else if (endedMs !== undefined) {
            break
          } else {
            await new Promise<void>((wake) => waiting.add(wake))
          }
        }
        return summary()
      } finally {
        signal.removeEventListener('abort', wakeAll)
      }
    },
  }
  return lookup
}

function swapBytes(port: number): number {
  return ((port & 0xff) << 8) | (port >> 8)
}
