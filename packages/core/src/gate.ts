/**
 * The gate: the only way from Swarmatlas to the network. It asks the address policy before anything is sent, binds
 * every socket to the address the user chose, and writes each byte into the ledger. Collectors are given a Gate, never
 * a raw seam.
 */
import type { AddressPolicy, Claim, Purpose, Refusal, Transport } from './address-policy.ts'
import { type Endpoint, type Family, familyOf } from './endpoint.ts'
import { codeOf, messageOf } from './errors.ts'
import { Ledger, type LedgerChannel } from './ledger.ts'
import type { Host, Meter, Resolver, TcpStream, UdpOptions } from './seams.ts'
import type { Outcome } from './visit.ts'

export interface GatedUdpSocket {
  readonly local: Endpoint
  readonly receiveBufferBytes: number
  /** Sends unless the policy refuses; the refusal is the caller's to record. */
  send(bytes: Uint8Array, to: Endpoint, purpose: Purpose): Refusal | undefined
  close(): Promise<void>
}

export type GatedUdpOptions = Omit<UdpOptions, 'address'> & {
  /** Whose account incoming datagrams are booked to. */
  channel: LedgerChannel
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

export interface Gate {
  readonly policy: AddressPolicy
  readonly ledger: Ledger
  readonly resolver: Resolver
  /** Families that may leave, given the binding. */
  readonly families: readonly Family[]
  udp(options: GatedUdpOptions): Promise<GatedUdpSocket>
  /** Never rejects but for an abort of `signal`. */
  dial(to: Endpoint, options: DialOptions): Promise<DialResult>
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
  { bind, families = bind === undefined ? [4, 6] : [familyOf(bind)] }: GateOptions = {},
): Gate {
  const ledger = new Ledger()
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

    async udp({ channel, onMessage, ...options }) {
      const socket = await host.udp.open({
        ...options,
        address: bind !== undefined && familyOf(bind) === options.family ? bind : undefined,
        onMessage(bytes, from) {
          ledger.datagram(channel, 'in', bytes.length, options.family)
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
      const refusal = admit(purpose, 'tcp', to, claim)
      if (refusal !== undefined) {
        const outcome = refusal.retryAfterMs === undefined ? 'forbidden' : 'over-budget'
        return { ok: false, outcome, detail: refusal.reason, refusal }
      }
      const channel = LEDGER_CHANNEL[purpose]
      const family = familyOf(to.address)
      const giveUp = new AbortController()
      const timer = host.clock.timer(timeoutMs, () => giveUp.abort(new DialTimeout()))
      try {
        const stream = await host.tcp.connect(to, {
          localAddress: bind,
          signal: AbortSignal.any([signal, giveUp.signal]),
        })
        const account = ledger.opened(channel, family, stream)
        // A broken stream shows as 'close'; an 'error' that nobody listens to would end the process.
        stream.on('error', () => {})
        stream.once('close', account.closed)
        return { ok: true, stream }
      } catch (error) {
        signal.throwIfAborted()
        const outcome = outcomeOf(error)
        ledger.failedConnect(channel, family, outcome === 'refused')
        return { ok: false, outcome, detail: messageOf(error) }
      } finally {
        timer.cancel()
      }
    },
  }
}

class DialTimeout extends Error {
  override readonly message = 'no answer to the connection attempt'
}

/** What a failed connection or broken stream means, by the system's error code. */
export function outcomeOf(error: unknown): Outcome {
  if (error instanceof DialTimeout) return 'timeout'
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
