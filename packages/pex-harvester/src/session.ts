/**
 * One session over an open connection, whatever carries it: handshake, talk, leave. A single alarm holds all deadlines:
 * whenever something happened, or may be over, `#review` asks what there is still to wait for.
 */
import {
  type Census,
  type Clock,
  type Endpoint,
  type Gate,
  type Logger,
  limits,
  type Meter,
  messageOf,
  type Outcome,
  type TcpStream,
  type Timer,
  type Visit,
} from '@swarmatlas/core'
import { clientName } from './client-name.ts'
import type { HarvesterOptions, SessionEvent, VisitOptions } from './contract.ts'
import { type ExtensionFacts, readExtensionHandshake } from './extension-handshake.ts'
import { createFrameGuard } from './frame-guard.ts'
import { createGuardedWire, type GuardedWire, type PeerHandshake } from './guarded-wire.ts'
import { createMetadataErrand, type MetadataErrand } from './metadata-errand.ts'
import { createMetadataService } from './metadata-service.ts'
import { MseError } from './mse/handshake.ts'
import { createPexLog, type PexLog } from './pex-log.ts'
import { createRoleReader, type RoleVerdict } from './role.ts'

/** An open stream that carries plain text; what lies below it is recorded only. */
export interface Connection {
  readonly stream: TcpStream
  readonly transport: Visit['transport']
  readonly encryption: Visit['encryption']
}

export interface SessionComponents {
  gate: Pick<Gate, 'policy'>
  clock: Clock
  logger: Logger
  meter: Meter
}

export interface SessionOptions extends HarvesterOptions {
  /** Whom we dialled; of who dialled us the address, with a port that it only sends from. */
  peer: Endpoint
  isInbound?: boolean
  connection: Connection
  /** For the peer's handshake, MSE included. */
  handshakeMs: number
  /** Tells that it opened. */
  isFirst: boolean
  visit: VisitOptions
}

/** The visit but for what its attempts amount to. Its peer is an endpoint of who dialled us only when there is a listenPort. */
export type SessionResult = Omit<Visit, 'atMs' | 'durationMs' | 'refuted' | 'attempts'> & {
  /** The peer answered for another swarm, or closed after our handshake and before its own. */
  readonly rejection: 'foreign-swarm' | 'closed' | undefined
}

export interface Session {
  /**
   * Call once. Events wait for a slow consumer: at most limits.pexMessages · limits.pexEntries of them and a handful.
   * However it ends, the connection is closed and no timer is left.
   */
  run(): AsyncGenerator<SessionEvent, SessionResult>
}

/** `detail` of a session with ourselves. */
export const OURSELVES = 'ourselves'

export function createSession(components: SessionComponents, options: SessionOptions): Session {
  return new WireSession(components, options)
}

interface Ending {
  readonly outcome: Outcome
  readonly detail?: string
  readonly rejection?: SessionResult['rejection']
  /** Left at a time of our own choosing: a peer that closes early may have had more to say. */
  readonly waited?: boolean
}

class WireSession implements Session {
  readonly #clock: Clock
  readonly #components: SessionComponents
  readonly #options: SessionOptions
  readonly #visit: VisitOptions
  readonly #stream: TcpStream
  readonly #openedMs: number
  readonly #ourPeerId: string
  readonly #guard = createFrameGuard()
  readonly #role = createRoleReader()
  #pex: PexLog | undefined
  /** Where the peer listens; who dialled us has to say it. */
  #endpoint: Endpoint | undefined
  readonly #wire: GuardedWire
  readonly #metadata: MetadataErrand
  #events: SessionEvent[] = []
  #wake: () => void = () => {}
  #alarm: Timer | undefined
  #ending: (Ending & { atMs: number }) | undefined
  #handshake: (PeerHandshake & { atMs: number }) | undefined
  /** Undefined until the peer's extension handshake came. */
  #facts: ExtensionFacts | undefined
  #firstPexMs: number | undefined
  #dhtNodeTold = false
  /** Something came that may change what there is to wait for; HAVEs wait for the next alarm. */
  #news = false

  constructor(components: SessionComponents, options: SessionOptions) {
    this.#components = components
    this.#options = options
    this.#clock = components.clock
    this.#visit = options.visit
    this.#stream = options.connection.stream
    this.#openedMs = components.clock.monotonic()
    this.#ourPeerId = Buffer.from(options.peerId).toString('hex')
    this.#endpoint = options.isInbound ? undefined : options.peer
    const info = options.visit.metadata?.()
    this.#wire = createGuardedWire(
      {
        send: (bytes) => this.#send(bytes),
        handshake: (handshake) => this.#onHandshake(handshake),
        bitfield: (bits) => {
          this.#role.bitfield(bits)
          this.#news = true
        },
        have: (piece) => this.#role.have(piece),
        haveAll: () => {
          this.#role.haveAll()
          this.#news = true
        },
        haveNone: () => this.#role.haveNone(),
        dontHave: (piece) => this.#role.dontHave(piece),
        port: (port) => this.#onPort(port),
        extensionHandshake: (payload) => this.#onExtensionHandshake(payload),
        metadata: (payload) => {
          this.#metadata.receive(payload, this.#clock.monotonic())
          service?.receive(payload, this.#facts?.metadataId)
          this.#news = true
        },
        pex: (payload) => this.#onPex(payload),
      },
      { clientName: options.clientName, listenPort: options.listenPort, metadataSize: info?.length },
    )
    const send = (id: number, payload: Uint8Array) => this.#wire.extended(id, payload)
    const tell = (event: SessionEvent) => this.#emit(event)
    this.#metadata = createMetadataErrand({ meter: components.meter, send, tell }, options.visit)
    const service = info && createMetadataService({ meter: components.meter, send }, { info })
  }

  async *run(): AsyncGenerator<SessionEvent, SessionResult> {
    const { signal, swarm } = this.#visit
    const wake = () => this.#wake()
    signal.addEventListener('abort', wake)
    try {
      if (this.#options.isFirst) this.#emit({ type: 'opened', atMs: this.#clock.now() })
      this.#stream.on('data', (chunk: Uint8Array) => this.#onBytes(chunk))
      this.#stream.on('error', (error) => this.#onBroken(error))
      this.#stream.on('end', () => this.#onClosed('closed by the peer'))
      this.#stream.on('close', () => this.#onClosed('closed by the peer'))
      this.#wire.handshake(swarm, this.#options.peerId, { private: this.#visit.private() })
      this.#review()
      for (;;) {
        if (signal.aborted) {
          // What the peer said of itself is worth keeping.
          if (this.#handshake === undefined) throw signal.reason
          this.#end({ outcome: 'ok', detail: 'cut short', waited: true })
        }
        const events = this.#events
        this.#events = []
        yield* events
        if (this.#events.length > 0) continue
        if (this.#ending !== undefined) return this.#result(this.#ending)
        await new Promise<void>((resolve) => {
          this.#wake = resolve
          if (signal.aborted) resolve()
        })
      }
    } finally {
      signal.removeEventListener('abort', wake)
      this.#end({ outcome: 'ok' })
    }
  }

  #emit(event: SessionEvent): void {
    if (this.#ending !== undefined) return
    this.#events.push(event)
    this.#wake()
  }

  /** The first ending counts. */
  #end(ending: Ending): void {
    if (this.#ending !== undefined) return
    this.#ending = { ...ending, atMs: this.#clock.monotonic() }
    this.#alarm?.cancel()
    this.#wire.destroy()
    this.#stream.destroy()
    this.#components.meter.count(`session.end.${ending.outcome}`)
    this.#wake()
  }

  #send(bytes: Uint8Array): void {
    if (this.#ending === undefined) this.#stream.write(bytes)
  }

  #onBytes(chunk: Uint8Array): void {
    if (this.#ending !== undefined) return
    try {
      for (const frame of this.#guard.read(chunk)) {
        const problem = this.#wire.feed(frame)?.problem
        if (problem !== undefined) this.#end({ outcome: 'bad-message', detail: problem })
        if (this.#ending !== undefined) return
      }
      if (this.#guard.problem !== undefined) this.#end({ outcome: 'bad-message', detail: this.#guard.problem })
      if (this.#news) this.#review()
    } catch (error) {
      // No peer is known to get here; if one does, it ends its own session and no other.
      this.#components.meter.count('session.exceptions')
      this.#components.logger.warn('a peer threw in its session', { error: messageOf(error) })
      this.#end({ outcome: 'bad-message', detail: messageOf(error) })
    }
  }

  #onBroken(error: unknown): void {
    if (error instanceof MseError) this.#end({ outcome: 'bad-message', detail: error.message })
    else this.#onClosed(messageOf(error))
  }

  #onClosed(detail: string): void {
    this.#end({ outcome: 'reset', detail, rejection: this.#handshake === undefined ? 'closed' : undefined })
  }

  #onHandshake(handshake: PeerHandshake): void {
    this.#news = true
    if (handshake.infoHash !== this.#visit.swarm) {
      this.#end({ outcome: 'bad-message', detail: `answers for ${handshake.infoHash}`, rejection: 'foreign-swarm' })
      return
    }
    if (handshake.peerId === this.#ourPeerId) {
      this.#end({ outcome: 'forbidden', detail: OURSELVES })
      return
    }
    this.#handshake = { ...handshake, atMs: this.#clock.monotonic() }
    // A port that it sends from earns no further ones.
    if (this.#endpoint !== undefined) this.#components.gate.policy.vouch('peer', this.#endpoint)
    this.#emit({ type: 'handshaken', atMs: this.#clock.now(), peerId: handshake.peerId })
  }

  #onExtensionHandshake(payload: Uint8Array): void {
    const facts = readExtensionHandshake(payload, this.#facts)
    if (facts === undefined) {
      this.#components.meter.count('session.extension-malformed')
      return
    }
    this.#news = true
    this.#facts = facts
    if (this.#endpoint !== undefined || facts.listenPort === undefined) return
    const peer = { address: this.#options.peer.address, port: facts.listenPort }
    this.#endpoint = peer
    const { swarm } = this.#visit
    const told = { atMs: this.#clock.now(), swarm, channel: 'inbound', teller: { kind: 'self' }, peer } as const
    this.#emit({ type: 'observation', observation: { ...told, flags: peer.port === 1 ? ['suspect-port'] : [] } })
  }

  #onPort(port: number): void {
    if (port === 0 || this.#dhtNodeTold || this.#visit.private()) return
    this.#dhtNodeTold = true
    this.#emit({ type: 'dht-node', endpoint: { address: this.#options.peer.address, port } })
  }

  #onPex(payload: Uint8Array): void {
    if (this.#visit.private()) return
    this.#news = true
    if (this.#endpoint === undefined) {
      // Nobody who could be named as the teller.
      this.#components.meter.count('pex.without-teller')
      return
    }
    this.#pex ??= createPexLog(this.#components, { swarm: this.#visit.swarm, teller: this.#endpoint })
    const observations = this.#pex.read(payload, this.#clock.now())
    if (this.#pex.messages > 0) this.#firstPexMs ??= this.#clock.monotonic()
    for (const observation of observations) this.#emit({ type: 'observation', observation })
  }

  #review(): void {
    if (this.#ending !== undefined) return
    this.#news = false
    const nowMs = this.#clock.monotonic()
    if (this.#facts !== undefined) this.#metadata.proceed(this.#facts, nowMs)
    const untilMs = this.#waitUntilMs()
    if (nowMs >= untilMs) {
      this.#end(
        this.#handshake === undefined
          ? { outcome: 'timeout', detail: 'no handshake' }
          : { outcome: 'ok', waited: true },
      )
      return
    }
    this.#alarm?.cancel()
    this.#alarm = this.#clock.timer(Math.min(untilMs - nowMs, limits.sessionReviewMs), () => this.#review())
  }

  /** The (monotonic) time until which something that we came for can still come. */
  #waitUntilMs(): number {
    const ceilingMs = this.#openedMs + limits.sessionStayCeilingMs
    const stayMs = Math.min(this.#openedMs + this.#visit.stayMs, ceilingMs)
    if (this.#handshake === undefined) return Math.min(this.#openedMs + this.#options.handshakeMs, stayMs)
    const { atMs: handshakenMs, extended } = this.#handshake
    let untilMs = this.#verdict(handshakenMs).role === 'seed' ? 0 : handshakenMs + limits.roleWaitMs
    if (extended && this.#facts === undefined) untilMs = Math.max(untilMs, handshakenMs + limits.extensionTimeoutMs)
    if (this.#facts?.pexId !== undefined && !this.#visit.private()) {
      untilMs = Math.max(untilMs, this.#firstPexMs === undefined ? stayMs : this.#firstPexMs + limits.afterPexMs)
    }
    return Math.max(Math.min(untilMs, stayMs), Math.min(this.#metadata.deadlineMs, ceilingMs))
  }

  #verdict(atMs: number, stayOver = false): RoleVerdict {
    const heardMs = this.#handshake === undefined ? 0 : atMs - this.#handshake.atMs
    return this.#role.verdict({
      pieceCount: this.#visit.pieceCount(),
      uploadOnly: this.#facts?.uploadOnly ?? false,
      waited: stayOver || heardMs >= limits.roleWaitMs,
      greeted: this.#facts !== undefined,
    })
  }

  #result({ outcome, detail, rejection, waited, atMs: endedMs }: Ending & { atMs: number }): SessionResult {
    const { peer, connection } = this.#options
    const peerId = this.#handshake?.peerId
    // The piece count may have come with the consumer's last steps: the verdict is asked for now, as of the end.
    const { role, progress } = this.#verdict(endedMs, waited)
    return {
      swarm: this.#visit.swarm,
      peer: this.#endpoint ?? peer,
      outcome,
      opened: true,
      handshaken: peerId !== undefined,
      rejection,
      transport: connection.transport,
      encryption: connection.encryption,
      pexAdded: this.#pex?.added ?? 0,
      bytesIn: this.#stream.bytesRead,
      bytesOut: this.#stream.bytesWritten,
      ...present({
        detail,
        peerId,
        client: peerId === undefined ? undefined : clientName(this.#facts?.clientName, peerId),
        role,
        progress,
        listenPort: this.#facts?.listenPort,
        metadataSize: this.#facts?.metadataSize,
        speaksPex: this.#facts === undefined ? undefined : this.#facts.pexId !== undefined,
        yourIp: this.#facts?.yourIp,
        ipv4: this.#facts?.ipv4,
        ipv6: this.#facts?.ipv6,
        census: this.#census(),
      }),
    }
  }

  #census(): Census | undefined {
    if (this.#handshake === undefined) return undefined
    const { extensions, reqq, prefersEncryption, uploadOnly, completeAgoS } = this.#facts ?? {}
    const { reserved } = this.#handshake
    return { reserved, ...present({ extensions, reqq, prefersEncryption, uploadOnly, completeAgoS }) }
  }
}

/** The members that are not undefined. */
function present<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}
