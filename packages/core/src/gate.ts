/**
 * The gate: the only way from Swarmatlas to the network. It asks the address policy before anything is sent, binds
 * every socket to the address the user chose, and writes each byte into the ledger. Collectors are given a Gate, never
 * a raw seam.
 */
import type { AddressPolicy, Claim, Purpose, Refusal, Transport } from './address-policy.ts'
import { type Endpoint, type Family, familyOf } from './endpoint.ts'
import { codeOf, messageOf, SwarmatlasError } from './errors.ts'
import { Ledger, type LedgerChannel } from './ledger.ts'
import type { Host, Meter, Resolver, TcpListener, TcpStream, UdpOptions } from './seams.ts'
import { DeadlineError, deadline } from './timing.ts'
import type { Outcome } from './visit.ts'

export interface GatedUdpSocket {
  readonly local: Endpoint
  readonly receiveBufferBytes: number
  /** Sends unless the policy refuses; the refusal is the caller's to record. */
  send(bytes: Uint8Array, to: Endpoint, purpose: Purpose): Refusal | undefined
  close(): Promise<void>
}

export type GatedUdpOptions = Omit<UdpOptions, 'address'> & {
  /** Whose account incoming datagrams are booked to; where several share a socket, told by the datagram. */
  channel: LedgerChannel | ((bytes: Uint8Array) => LedgerChannel)
}

export type DialResult =
  | { readonly ok: true; readonly stream: TcpStream }
  | { readonly ok: false; readonly outcome: Outcome; readonly detail: string; readonly refusal?: Refusal }

export interface DialOptions {
  purpose: 'peer' | 'tracker'
  /** Gives up with outcome `timeout`. */
  timeoutMs: number
  signal: AbortSignal
  claim?: Claim
}

export interface ListenOptions {
  family: Family
  /** 0 lets the system choose. */
  port: number
}

export interface Gate {
  readonly policy: AddressPolicy
  readonly ledger: Ledger
  readonly resolver: Resolver
  /** Families that may leave, given the binding. */
  readonly families: readonly Family[]
  /** Local ports that connections were made from: peers gossip them as if somebody listened there. */
  readonly sourcePorts: ReadonlySet<number>
  udp(options: GatedUdpOptions): Promise<GatedUdpSocket>
  /** Never rejects but for an abort of `signal`. */
  dial(to: Endpoint, options: DialOptions): Promise<DialResult>
  /**
   * Takes the TCP connections of peers until closed, which cuts those that are open. Whom the policy refuses is cut off
   * unseen. Rejects as Tcp.listen does, and with BAD_OPTION for a family that may not leave.
   */
  listen(options: ListenOptions, onConnection: (stream: TcpStream, from: Endpoint) => void): Promise<TcpListener>
}

const LEDGER_CHANNEL: Record<Purpose, LedgerChannel> = {
  dht: 'dht',
  bootstrap: 'dht',
  tracker: 'tracker',
  peer: 'pex',
}

export interface GateOptions {
  /** All traffic leaves from this address or not at all. */
  bind?: string | undefined
  families?: readonly Family[] | undefined
}

export function createGate(
  { host, policy, meter }: { host: Host; policy: AddressPolicy; meter: Meter },
  { bind, families: wanted = [4, 6] }: GateOptions = {},
): Gate {
  // A socket of the other family could not be bound to that address.
  const families = wanted.filter((family) => bind === undefined || family === familyOf(bind))
  const ledger = new Ledger()
  const sourcePorts = new Set<number>()
  const mustLeave = (family: Family) => {
    if (families.includes(family)) return
    throw new SwarmatlasError(
      'BAD_OPTION',
      `no IPv${family} socket: traffic is limited to ${bind ?? 'the other family'}`,
    )
  }
  const account = (stream: TcpStream, channel: LedgerChannel, family: Family) => {
    const { closed } = ledger.opened(channel, family, stream)
    // A broken stream shows as 'close'; an 'error' that nobody listens to would end the process.
    stream.on('error', () => {})
    stream.once('close', closed)
  }
  const admit = (purpose: Purpose, transport: Transport, to: Endpoint, claim?: Claim) => {
    const refusal = families.includes(familyOf(to.address))
      ? policy.admit(purpose, transport, to, claim)
      : ({ reason: 'family' } as const)
    if (refusal !== undefined) meter.count(`gate.refused.${refusal.reason}`)
    return refusal
  }

  return {
    policy,
    ledger,
    resolver: host.resolver,
    families,
    sourcePorts,

    async udp({ channel, onMessage, ...options }) {
      mustLeave(options.family)
      const socket = await host.udp.open({
        ...options,
        address: bind,
        onMessage(bytes, from) {
          ledger.datagram(typeof channel === 'string' ? channel : channel(bytes), 'in', bytes.length, options.family)
          onMessage(bytes, from)
        },
      })
      return {
        local: socket.local,
        receiveBufferBytes: socket.receiveBufferBytes,
        send(bytes, to, purpose) {
          const refusal = admit(purpose, 'udp', to)
          if (refusal !== undefined) return refusal
          ledger.datagram(LEDGER_CHANNEL[purpose], 'out', bytes.length, options.family)
          socket.send(bytes, to)
          return undefined
        },
        close: () => socket.close(),
      }
    },

    async dial(to, { purpose, timeoutMs, signal, claim }) {
      signal.throwIfAborted()
      const refusal = admit(purpose, 'tcp', to, claim)
      if (refusal !== undefined) {
        const outcome = refusal.retryAfterMs === undefined ? 'forbidden' : 'over-budget'
        return { ok: false, outcome, detail: refusal.reason, refusal }
      }
      const channel = LEDGER_CHANNEL[purpose]
      const family = familyOf(to.address)
      const startedMs = host.clock.monotonic()
      // Not AbortSignal.any: on Node 20 each combined signal stays with a parent that lives for months.
      using limit = deadline(host.clock, timeoutMs, signal)
      try {
        const stream = await host.tcp.connect(to, { localAddress: bind, signal: limit.signal })
        account(stream, channel, family)
        if (stream.localPort !== undefined) sourcePorts.add(stream.localPort)
        return { ok: true, stream }
      } catch (error) {
        const outcome = outcomeOf(error)
        // Out of descriptors or ports: nothing was sent.
        if (outcome !== 'over-budget') {
          ledger.failedConnect(channel, family, outcome === 'refused', host.clock.monotonic() - startedMs)
        }
        signal.throwIfAborted()
        const detail = outcome === 'timeout' ? 'no answer to the connection attempt' : messageOf(error)
        return { ok: false, outcome, detail }
      }
    },

    async listen({ family, port }, onConnection) {
      mustLeave(family)
      return host.tcp.listen({
        address: bind ?? (family === 4 ? '0.0.0.0' : '::'),
        port,
        onConnection(stream, from) {
          account(stream, LEDGER_CHANNEL.peer, family)
          const refusal = policy.judgeCaller(from)
          if (refusal === undefined) return onConnection(stream, from)
          meter.count(`gate.refused-caller.${refusal.reason}`)
          stream.destroy()
        },
      })
    },
  }
}

/** What a failed connection or broken stream means, by the system's error code. */
export function outcomeOf(error: unknown): Outcome {
  if (error instanceof DeadlineError) return 'timeout'
  switch (codeOf(error)) {
    case 'ECONNREFUSED':
      return 'refused'
    case 'ECONNRESET':
    case 'EPIPE':
    case 'ECONNABORTED':
      return 'reset'
    case 'ETIMEDOUT':
      return 'timeout'
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOBUFS':
    case 'EADDRNOTAVAIL':
      return 'over-budget'
    default:
      return 'unreachable'
  }
}
