/** What the answers of one lookup say of peers, kept as a log that any number of consumers follow from the start. */
import {
  type Clock,
  type Endpoint,
  endpointKey,
  type Gate,
  type InfoHash,
  limits,
  type Meter,
  type Observation,
  type ObservationFlag,
  type Teller,
} from '@swarmatlas/core'
import { type EndpointMark, endpointAt, markAt } from '../contact.ts'
import type { Answer } from '../query-socket.ts'

/** rTorrent's DHT gives the ports of `values` in host order. */
const SWAPS_PORTS = Buffer.from('lt\x0d\x80', 'latin1')

/** What one answer brought. */
export interface Yield {
  /** Peers that it names, and how many of them nobody in this lookup had named. */
  readonly named: number
  readonly fresh: number
}

export interface ObservationLog {
  readonly holders: number
  /** Distinct endpoints named so far. */
  readonly peers: number
  replied(answer: Answer): Yield
  /** Ends the generators of all consumers once they have given out what is known. Idempotent. */
  end(): void
  readonly ended: boolean
  at(index: number): Observation | undefined
  /** Resolves when the log has grown or ended, or when `signal` aborts. */
  change(signal: AbortSignal): Promise<void>
}

interface NamedPeer {
  readonly endpoint: Endpoint
  readonly isForeign: boolean
  /** A bit for each of the first 30 tellers: sets of their own would be most of a lookup's memory. */
  toldBy: number
}

interface KnownTeller {
  readonly teller: Teller
  /** 0 for those beyond the first 30. */
  readonly bit: number
  readonly told: Set<NamedPeer>
}

const TELLER_BITS = 30

export function createObservationLog(
  { clock, gate, meter }: { clock: Clock; gate: Gate; meter: Meter },
  { swarm }: { swarm: InfoHash },
): ObservationLog {
  const log: Observation[] = []
  const named = new Map<EndpointMark, NamedPeer>()
  const tellers = new Map<string, KnownTeller>()
  const waiting = new Set<() => void>()
  let peers = 0
  let ended = false

  function wakeAll(): void {
    for (const wake of waiting) wake()
    waiting.clear()
  }

  function tellerOf({ from, response }: Answer): KnownTeller {
    const key = endpointKey(from)
    const known = tellers.get(key)
    if (known !== undefined) return known
    const teller: Teller = { kind: 'dht-node', id: response.id.toString('hex'), endpoint: from }
    const made = { teller, bit: tellers.size < TELLER_BITS ? 1 << tellers.size : 0, told: new Set<NamedPeer>() }
    tellers.set(key, made)
    return made
  }

  /** The peer at `at`, judged once in a lookup. */
  function peerAt(values: Buffer, at: number, family: 4 | 6): NamedPeer {
    const mark = markAt(values, at, family)
    const known = named.get(mark)
    if (known !== undefined) return known
    const endpoint = endpointAt(values, at, family)
    const isForeign = gate.policy.judge('peer', 'tcp', endpoint)?.reason === 'address'
    const peer = { endpoint, isForeign, toldBy: 0 }
    named.set(mark, peer)
    return peer
  }

  /** False when this teller has named the peer before. */
  function tells({ bit, told }: KnownTeller, peer: NamedPeer): boolean {
    if (bit === 0 ? told.has(peer) : (peer.toldBy & bit) !== 0) return false
    if (bit === 0) told.add(peer)
    else peer.toldBy |= bit
    return true
  }

  return {
    get holders() {
      return tellers.size
    },
    get peers() {
      return peers
    },

    replied(answer) {
      const { response, otherPort, otherId } = answer
      const tally = { named: 0, fresh: 0 }
      if (response.values.length + response.values6.length === 0) return tally
      const by = tellerOf(answer)
      const swapped = response.version?.subarray(0, SWAPS_PORTS.length).equals(SWAPS_PORTS) === true
      const always: ObservationFlag[] = []
      if (swapped) always.push('swapped-port')
      if (otherPort) always.push('other-port')
      if (otherId) always.push('other-id')
      const atMs = clock.now()
      for (const [sent, family] of [[response.values, 4] as const, [response.values6, 6] as const]) {
        const values = swapped ? withSwappedPorts(sent, family) : sent
        const size = family === 4 ? 6 : 18
        for (let at = 0; at < values.length; at += size) {
          const known = named.size
          const peer = peerAt(values, at, family)
          tally.named++
          if (!tells(by, peer)) continue
          if (peer.isForeign || log.length >= limits.dhtObservationsPerLookup) {
            meter.count(peer.isForeign ? 'dht.value.address' : 'dht.capped.observations')
            continue
          }
          if (named.size > known) {
            peers++
            tally.fresh++
          }
          const flags = peer.endpoint.port <= 1 ? ['suspect-port' as const, ...always] : always
          log.push({ atMs, swarm, channel: 'dht', teller: by.teller, peer: peer.endpoint, flags })
        }
      }
      wakeAll()
      return tally
    },

    end() {
      ended = true
      wakeAll()
    },

    get ended() {
      return ended
    },
    at: (index) => log[index],
    async change(signal) {
      signal.addEventListener('abort', wakeAll, { once: true })
      await new Promise<void>((wake) => waiting.add(wake))
      signal.removeEventListener('abort', wakeAll)
    },
  }
}

function withSwappedPorts(values: Buffer, family: 4 | 6): Buffer {
  const copy = Buffer.from(values)
  const size = family === 4 ? 6 : 18
  for (let at = size - 2; at < copy.length; at += size) copy.subarray(at, at + 2).swap16()
  return copy
}
