/**
 * A network in memory: machines with addresses, a fixed delay between each pair, datagrams that get lost, addresses
 * that never answer, a table of names. It gives production objects their Host seams, and with virtual time a run of
 * hours repeats exactly from its seed.
 */
import net from 'node:net'
import { type Endpoint, endpointKey, type Family, familyOf, type Host } from '@swarmatlas/core'
import { nodeClock } from '@swarmatlas/core/node'
import { seededRandom } from './seeded-random.ts'
import { type SimLink, systemError } from './sim-link.ts'
import { simResolver } from './sim-resolver.ts'
import { simTcp } from './sim-tcp.ts'
import { simUdp } from './sim-udp.ts'

export interface SimNetworkOptions {
  seed: string | number
  /** One-way delay, ms: each pair of addresses has its own within these bounds. One address reaches itself at once. */
  delayMs?: readonly [min: number, max: number]
  /** Share of datagrams that get lost, 0..1. TCP hides losses. */
  lossShare?: number
  /** What TCP carries in one piece, bytes: 1 makes every message arrive in crumbs. */
  segmentBytes?: number
}

export interface SimNetworkStats {
  /** Datagrams sent, lost ones too, by destination endpoint (`address:port`). */
  readonly datagrams: ReadonlyMap<string, number>
  /** TCP connection attempts by destination endpoint. */
  readonly connects: ReadonlyMap<string, number>
  /** Datagrams that the network lost. */
  readonly lost: number
  /** UDP and TCP payload bytes by destination address. */
  readonly bytes: ReadonlyMap<string, number>
}

export interface SimNetwork {
  /**
   * The seams of a machine. `addresses` are its own: single ones or CIDR prefixes; the first of a family is where
   * sockets that name no address send from (of a prefix: its first host). A machine whose address nobody owns does
   * not answer; neither does one that listens not, except that it refuses TCP connections.
   */
  host(addresses: string | readonly string[]): Host
  /** From now on nothing that this address sends arrives, and nothing sent to it. Works for addresses nobody owns, too. */
  kill(address: string): void
  /** Host names and their addresses; may be changed at any time. */
  readonly names: Map<string, readonly string[]>
  readonly stats: SimNetworkStats
}

const FIRST_EPHEMERAL_PORT = 49_152
const EPHEMERAL_PORTS = 16_384

interface Machine {
  readonly primary: Partial<Record<Family, string>>
  owns(address: string): boolean
  readonly sockets: Map<string, unknown>
  nextPort: number
}

export function createSimNetwork({
  seed,
  delayMs = [10, 100],
  lossShare = 0,
  segmentBytes = 1_460,
}: SimNetworkOptions): SimNetwork {
  const clock = nodeClock
  const luck = seededRandom(`${seed} loss`)
  const delays = new Map<string, number>()
  const dead = new Set<string>()
  const machines: Machine[] = []
  const owners = new Map<string, Machine[]>()
  const names = new Map<string, readonly string[]>()
  const stats = {
    datagrams: new Map<string, number>(),
    connects: new Map<string, number>(),
    bytes: new Map<string, number>(),
    lost: 0,
  }

  function delayBetween(a: string, b: string): number {
    if (a === b) return 0
    const pair = a < b ? `${a} ${b}` : `${b} ${a}`
    let delay = delays.get(pair)
    if (delay === undefined) {
      delay = Math.round(delayMs[0] + (delayMs[1] - delayMs[0]) * seededRandom(`${seed} ${pair}`).float())
      delays.set(pair, delay)
    }
    return delay
  }

  /** More than one where prefixes overlap. */
  function ownersOf(address: string): Machine[] {
    let found = owners.get(address)
    if (found === undefined) {
      found = machines.filter((machine) => machine.owns(address))
      owners.set(address, found)
    }
    return found
  }

  function linkOf(machine: Machine): SimLink {
    return {
      clock,
      segmentBytes,
      source(family, address) {
        const source = address === undefined || isWildcard(address) ? machine.primary[family] : address
        if (source === undefined) throw systemError('ENETUNREACH', `no IPv${family} address`)
        if (!machine.owns(source)) throw systemError('EADDRNOTAVAIL', source)
        return source
      },
      bind(protocol, { address, port }, socket) {
        let chosen = port
        while (chosen === 0) {
          const candidate = FIRST_EPHEMERAL_PORT + (machine.nextPort++ % EPHEMERAL_PORTS)
          if (!machine.sockets.has(socketKey(protocol, { address, port: candidate }))) chosen = candidate
        }
        const local = { address, port: chosen }
        const key = socketKey(protocol, local)
        if (machine.sockets.has(key)) throw systemError('EADDRINUSE', key)
        machine.sockets.set(key, socket)
        return local
      },
      unbind: (protocol, local) => void machine.sockets.delete(socketKey(protocol, local)),
      find(protocol, at) {
        const wildcard = { address: familyOf(at.address) === 4 ? '0.0.0.0' : '::', port: at.port }
        for (const { sockets } of ownersOf(at.address)) {
          const socket = sockets.get(socketKey(protocol, at)) ?? sockets.get(socketKey(protocol, wildcard))
          if (socket !== undefined) return socket
        }
        return undefined
      },
      owned: (address) => ownersOf(address).length > 0,
      carry(from, to, arrive) {
        if (dead.has(from) || dead.has(to)) return
        clock.timer(
          delayBetween(from, to),
          () => {
            if (!dead.has(from) && !dead.has(to)) arrive()
          },
          { keepAlive: false },
        )
      },
      loses() {
        const lost = luck.float() < lossShare
        if (lost) stats.lost++
        return lost
      },
      count: (what, to) => add(stats[what], endpointKey(to), 1),
      countBytes: (to, bytes) => add(stats.bytes, to, bytes),
    }
  }

  return {
    names,
    stats,
    kill: (address) => void dead.add(address),
    host(addresses) {
      const machine = createMachine(typeof addresses === 'string' ? [addresses] : addresses)
      machines.push(machine)
      owners.clear()
      const link = linkOf(machine)
      return {
        clock,
        random: seededRandom(`${seed} host ${machines.length}`),
        udp: simUdp(link),
        tcp: simTcp(link),
        resolver: simResolver({ clock, names }, { delayMs: delayMs[1] }),
      }
    },
  }
}

function createMachine(addresses: readonly string[]): Machine {
  const owned = new net.BlockList()
  const primary: Partial<Record<Family, string>> = {}
  for (const entry of addresses) {
    const [address = '', bits] = entry.split('/')
    const family = familyOf(address)
    const type = family === 4 ? 'ipv4' : 'ipv6'
    if (bits === undefined) owned.addAddress(address, type)
    else owned.addSubnet(address, Number(bits), type)
    primary[family] ??= bits === undefined ? address : address.replace(/\.0$/, '.1').replace(/::$/, '::1')
  }
  return {
    primary,
    owns: (address) => owned.check(address, familyOf(address) === 4 ? 'ipv4' : 'ipv6'),
    sockets: new Map(),
    nextPort: 0,
  }
}

function socketKey(protocol: string, local: Endpoint): string {
  return `${protocol} ${endpointKey(local)}`
}

function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::'
}

function add(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by)
}
