/**
 * Peers that dial us, over TCP and uTP, plain and with MSE. Nothing is said to them before they have named a swarm that
 * is being mapped; then the session is that of a visit. Their source ports are no endpoints: who names no listening port
 * (`p` of BEP 10) is counted and no more.
 */
import type { Duplex } from 'node:stream'
import {
  type Clock,
  codeOf,
  type Endpoint,
  type Gate,
  type InfoHash,
  infoHashFromBytes,
  type Logger,
  limits,
  type Meter,
  messageOf,
  prefixOf,
  type Random,
  SwarmatlasError,
  type TcpListener,
  type TcpStream,
  type Visit,
} from '@swarmatlas/core'
import type { HarvesterOptions, SessionEvent, VisitOptions } from './contract.ts'
import { skeyDigest } from './mse/handshake.ts'
import { acceptMse } from './mse/stream.ts'
import { createSession } from './session.ts'
import type { Utp } from './utp/utp.ts'

export interface ListenerComponents {
  gate: Gate
  /** Without it nobody is heard over uTP. */
  utp?: Pick<Utp, 'listen'> | undefined
  clock: Clock
  random: Random
  logger: Logger
  meter: Meter
}

export interface ListenerOptions extends Pick<HarvesterOptions, 'peerId' | 'clientName'> {
  /** 0 lets the system choose. */
  port: number
  /** At once, over all swarms. */
  connections: number
}

export type InboundOptions = Omit<VisitOptions, 'swarm' | 'claim' | 'hints'>

/** A connection that named one of our swarms. */
export interface InboundSession {
  readonly swarm: InfoHash
  /** Its port is one that it sends from. */
  readonly from: Endpoint
  /**
   * As Harvester.visit. The first thing that an endpoint is known by is an observation of channel `inbound`. Returns
   * undefined for a peer that named no listening port.
   */
  run(options: InboundOptions): AsyncGenerator<SessionEvent, Visit | undefined>
}

export interface Listener extends AsyncDisposable {
  /** Of TCP, in all families. */
  readonly port: number
  /**
   * Answers for this swarm until the returned function is called. `welcome` runs the session at once, or the connection
   * is closed.
   */
  serve(swarm: InfoHash, welcome: (session: InboundSession) => void): () => void
  /** Ends all connections. Idempotent. */
  close(): Promise<void>
}

/** Rejects with NO_NETWORK when the port cannot be had. */
export async function createListener(components: ListenerComponents, options: ListenerOptions): Promise<Listener> {
  const listener = new PeerListener(components, options)
  await listener.open()
  return listener
}

/** Protocol name, reserved bytes and info-hash of the handshake (BEP 3). */
const HEAD_BYTES = 48
const HASH_AT = 28

class PeerListener implements Listener {
  port = 0
  readonly #components: ListenerComponents
  readonly #options: ListenerOptions
  readonly #served = new Map<InfoHash, (session: InboundSession) => void>()
  readonly #bySkey = new Map<string, InfoHash>()
  readonly #open = new Set<TcpStream>()
  /** Open connections by address and by network. */
  readonly #from = new Map<string, number>()
  readonly #closers: (() => Promise<void> | void)[] = []
  #unknown = 0
  #second = 0
  #inSecond = 0
  #closing: Promise<void> | undefined

  constructor(components: ListenerComponents, options: ListenerOptions) {
    this.#components = components
    this.#options = options
  }

  async open(): Promise<void> {
    const { gate, utp } = this.#components
    this.port = this.#options.port
    try {
      const failures: unknown[] = []
      for (const family of gate.families) {
        const accept = (stream: TcpStream, from: Endpoint) => this.#accept(stream, from, 'tcp')
        const listener: TcpListener | undefined = await gate
          .listen({ family, port: this.port }, accept)
          .catch((error: unknown) => {
            failures.push(error)
            // The same port of the other family may be a stranger's: it must not be announced.
            if (codeOf(error) === 'EADDRINUSE' || codeOf(error) === 'EACCES') throw error
            return undefined
          })
        if (listener === undefined) continue
        this.port = listener.local.port
        this.#closers.push(() => listener.close())
      }
      if (this.#closers.length === 0) throw failures[0]
      const overUtp = await utp?.listen((stream, from) => this.#accept(stream, from, 'utp'))
      if (overUtp !== undefined) this.#closers.push(() => overUtp.close())
    } catch (error) {
      await this.close()
      throw new SwarmatlasError('NO_NETWORK', `cannot listen on port ${this.port}: ${messageOf(error)}`, {
        cause: error,
        hint: 'is another client using that port? --listen takes any other',
      })
    }
  }

  serve(swarm: InfoHash, welcome: (session: InboundSession) => void): () => void {
    const digest = skeyDigest(swarm)
    this.#served.set(swarm, welcome)
    this.#bySkey.set(digest, swarm)
    return () => {
      if (this.#served.get(swarm) !== welcome) return
      this.#served.delete(swarm)
      this.#bySkey.delete(digest)
    }
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      for (const stream of this.#open) stream.destroy()
      await Promise.all(this.#closers.map((close) => close()))
    })()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #accept(carrier: TcpStream, from: Endpoint, transport: Visit['transport']): void {
    const { meter } = this.#components
    carrier.on('error', () => {})
    const why = this.#whyNot(from)
    if (why !== undefined) {
      meter.count(`inbound.refused.${why}`)
      carrier.destroy()
      return
    }
    meter.count(`inbound.accepted.${transport}`)
    const places = [from.address, prefixOf(from.address)]
    this.#open.add(carrier)
    for (const place of places) this.#from.set(place, (this.#from.get(place) ?? 0) + 1)
    carrier.once('close', () => {
      this.#open.delete(carrier)
      for (const place of places) {
        const left = (this.#from.get(place) ?? 1) - 1
        if (left === 0) this.#from.delete(place)
        else this.#from.set(place, left)
      }
    })
    void this.#greet(carrier, from, transport)
  }

  /** Floods cost a connection each and no more. */
  #whyNot({ address }: Endpoint): string | undefined {
    const { clock, gate } = this.#components
    const { portsPerAddress, firstContactsPerPrefix } = gate.policy.profile
    if (this.#closing !== undefined || this.#served.size === 0) return 'not-listening'
    const second = Math.floor(clock.monotonic() / 1_000)
    if (second !== this.#second) this.#inSecond = 0
    this.#second = second
    if (++this.#inSecond > limits.inboundPerSecond) return 'rate'
    if (this.#open.size >= this.#options.connections) return 'connections'
    if (this.#unknown >= limits.inboundUnknown) return 'unknown'
    if ((this.#from.get(address) ?? 0) >= portsPerAddress) return 'address'
    return (this.#from.get(prefixOf(address)) ?? 0) >= firstContactsPerPrefix ? 'prefix' : undefined
  }

  /** Waits for the name of a swarm, and hands the connection on when it is one of ours. */
  async #greet(carrier: TcpStream, from: Endpoint, transport: Visit['transport']): Promise<void> {
    const { clock, random, meter } = this.#components
    const untilMs = clock.monotonic() + limits.handshakeTimeoutMs
    this.#unknown++
    const alarm = clock.timer(limits.handshakeTimeoutMs, () => carrier.destroy())
    const stream = acceptMse({ random, stream: carrier }, { swarmOf: (digest) => this.#bySkey.get(digest) })
    const head = await headOf(stream)
    alarm.cancel()
    this.#unknown--
    const swarm = head && infoHashFromBytes(head.subarray(HASH_AT))
    const welcome = swarm && this.#served.get(swarm)
    if (swarm === undefined || welcome === undefined) {
      meter.count(swarm === undefined ? 'inbound.no-handshake' : 'inbound.foreign-swarm')
      carrier.destroy()
      return
    }
    let taken = false
    const encryption = stream.encryption ?? 'plain'
    const handshakeMs = Math.max(untilMs - clock.monotonic(), 0)
    const start = (options: InboundOptions) => {
      taken = true
      const visit = { ...options, swarm, claim: { channels: 1 } }
      const { peerId, clientName } = this.#options
      return this.#run(carrier, {
        ...{ peerId, clientName, listenPort: this.port, peer: from, isInbound: true, isFirst: true },
        ...{ connection: { stream, transport, encryption }, handshakeMs, visit },
      })
    }
    welcome({ swarm, from, run: start })
    if (!taken) carrier.destroy()
  }

  async *#run(
    carrier: TcpStream,
    options: Parameters<typeof createSession>[1],
  ): AsyncGenerator<SessionEvent, Visit | undefined> {
    const { clock, meter } = this.#components
    const atMs = clock.now()
    const startedMs = clock.monotonic()
    try {
      const { rejection: _, ...visit } = yield* createSession(this.#components, options).run()
      if (visit.handshaken) meter.count(`inbound.handshaken.${visit.transport}-${visit.encryption}`)
      if (visit.listenPort === undefined) {
        meter.count('inbound.without-port')
        return undefined
      }
      return { ...visit, refuted: false, atMs, durationMs: clock.monotonic() - startedMs }
    } finally {
      carrier.destroy()
    }
  }
}

/** The first bytes of the handshake, left in the stream; undefined when it ends before. */
function headOf(stream: Duplex): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const done = (head: Buffer | undefined) => {
      stream.off('readable', look).off('close', over)
      resolve(head)
    }
    const over = () => done(undefined)
    const look = () => {
      const head: Buffer | null = stream.read(HEAD_BYTES)
      if (head === null) return
      if (head.length === HEAD_BYTES) stream.unshift(head)
      done(head.length === HEAD_BYTES ? head : undefined)
    }
    stream.on('error', () => {})
    stream.on('readable', look).on('close', over).on('end', over)
  })
}
