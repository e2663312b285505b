/** One torrent in a round: feeds name peers, peers are visited, visits name more peers, until nothing new comes. */
import { setMaxListeners } from 'node:events'
import {
  type Endpoint,
  endpointKey,
  familyOf,
  type HostPort,
  type InfoHash,
  limits,
  messageOf,
  type Observation,
  parseInfo,
  type RefusalReason,
  SwarmatlasError,
  type SwarmatlasEvent,
  sleep,
  type Timer,
  type TorrentInfo,
  type Visit,
} from '@swarmatlas/core'
import type { InboundSession, SessionEvent } from '@swarmatlas/pex-harvester'
import type { RoundContext } from './context.ts'
import { hintsOf, wireHashFor } from './dialling.ts'
import { type FeedTarget, feedFromCallers, feedFromDht, feedFromTracker } from './feeds.ts'
import { createGathering, type Gathering } from './gathering.ts'
import { readAll } from './read-all.ts'
import type { PeerState, Swarm } from './swarm.ts'

const OVER_RATE: RefusalReason = 'new-endpoint-rate'

/** Maps one torrent; resolves when nothing new comes or `signal` aborts. Never rejects. */
export async function mapTorrent(context: RoundContext, swarm: Swarm, signal: AbortSignal): Promise<void> {
  const round = new TorrentRound(context, swarm, signal)
  await round.run()
}

class TorrentRound implements FeedTarget {
  readonly swarm: Swarm
  readonly #context: RoundContext
  readonly #signal: AbortSignal
  readonly #tasks: Gathering
  /** Aborts with the round, or when the torrent turns out private and the user did not allow that. */
  readonly #contact = new AbortController()
  /** Aborts with contact, or when the torrent turns out private: all that BEP 27 forbids hangs on it. */
  readonly #public = new AbortController()
  /** Who was asked for metadata, and when (monotonic). */
  readonly #metadataFetchers = new Map<PeerState, number>()
  /** The info dictionary has the right hash but cannot be read: no other peer has a better one. */
  #metadataBroken = false
  /** Peers that are queued, being visited or visited. */
  readonly #taken = new Set<PeerState>()
  lookups = 0
  #greeted = 0
  /** The verified info dictionary. */
  #infoBytes: Uint8Array | undefined
  /** When somebody new called last, monotonic. */
  #calledMs = 0

  constructor(context: RoundContext, swarm: Swarm, signal: AbortSignal) {
    this.#context = context
    this.swarm = swarm
    this.#infoBytes = swarm.target.info?.bytes
    this.#signal = signal
    // Every session listens to them: hundreds of listeners are no leak here.
    setMaxListeners(0, this.#contact.signal, this.#public.signal)
    this.#tasks = createGathering({
      onError: (error) => {
        const isAbort = [this.#contact.signal, this.#public.signal].some(
          ({ aborted, reason }) => aborted && reason === error,
        )
        if (isAbort) return
        if (error instanceof SwarmatlasError) context.fail(error)
        else context.logger.error('a task of the round failed', { torrent: swarm.id, error: messageOf(error) })
      },
    })
  }

  async run(): Promise<void> {
    const { clock, logger } = this.#context
    let drain: Timer | undefined
    let giveUp: () => void = () => {}
    const drained = new Promise<void>((resolve) => {
      giveUp = resolve
    })
    const end = () => {
      this.#endContact(this.#signal.reason)
      drain = clock.timer(limits.drainMs, () => {
        logger.warn('collectors did not stop', { torrent: this.swarm.id, afterMs: limits.drainMs })
        giveUp()
      })
    }
    if (this.#signal.aborted) end()
    else this.#signal.addEventListener('abort', end, { once: true })
    this.#tasks.start(() => this.#begin())
    await Promise.race([this.#tasks.done(), drained])
    drain?.cancel()
    this.#signal.removeEventListener('abort', end)
  }

  async #begin(): Promise<void> {
    const { swarm } = this
    const { clock, settings, store } = this.#context
    store?.torrent(swarm.record())
    if (swarm.isPrivate) {
      this.#public.abort()
      if (!settings.privateOk) {
        await this.notice('private', 'this torrent is private: nothing was sent (--private-ok asks its trackers)')
        return
      }
    }
    for (const note of swarm.target.notes) await this.notice('target', note)
    for (const peer of swarm.target.peers) {
      await this.observe({
        atMs: clock.now(),
        swarm: swarm.id,
        channel: 'magnet',
        teller: { kind: 'self' },
        peer,
        flags: [],
      })
    }
    for (const node of swarm.target.nodes) this.#tasks.start(() => this.#addNode(node))
    for (const hash of swarm.wireHashes) this.#open(hash)
  }

  #endContact(reason?: unknown): void {
    this.#contact.abort(reason)
    this.#public.abort(reason)
  }

  /** BEP 5: a .torrent may name DHT nodes. */
  async #addNode({ host, port }: HostPort): Promise<void> {
    const { resolver, dht } = this.#context
    const addresses = await resolver.resolve(host, { signal: this.#public.signal }).catch(() => [])
    const address = addresses.find((address) => familyOf(address) === 4)
    if (address !== undefined) dht?.crawler.addNode({ address, port })
  }

  /** Starts the feeds of one wire hash. */
  #open(hash: InfoHash): void {
    const { clock, trackers, dht, listener } = this.#context
    if (listener !== undefined) {
      this.#calledMs = clock.monotonic()
      const answer = (caller: InboundSession) => this.#tasks.start(() => this.#answer(caller))
      const calls = { hash, answer, lastMs: () => this.#calledMs }
      this.#tasks.start(() => feedFromCallers(this.#context, listener, calls, this.#contact.signal))
    }
    if (trackers !== undefined) {
      for (const url of this.swarm.target.trackers) {
        this.#tasks.start(() => feedFromTracker(this.#context, this, url, hash, this.#contact.signal))
      }
    }
    if (dht !== undefined && !this.swarm.isPrivate) {
      this.#tasks.start(() => feedFromDht(this.#context, this, hash, this.#public.signal))
    }
  }

  /** Resolves when there is room for more. */
  async observe(observation: Observation): Promise<void> {
    const { store, clock, meter } = this.#context
    const { swarm } = this
    const seen = swarm.observe(observation)
    if (seen === undefined) {
      meter.count('mapper.capped.peers')
      return
    }
    store?.observation(swarm.id, observation)
    const events: SwarmatlasEvent[] = [{ type: 'observation', torrent: swarm.id, ...observation }]
    if (seen.isNew) {
      const { channel, peer } = observation
      const total = swarm.peers.size
      events.push({ type: 'peer', atMs: clock.now(), torrent: swarm.id, peer, channel, total })
    }
    // All of it before the first wait: else events of one peer would stand among those of the next.
    const room = events.map((event) => this.#context.emit(event))
    // Who called is not called back: one session a round.
    if (observation.channel === 'inbound') this.#taken.add(seen.peer)
    else if (seen.isNew || seen.isNewChannel) this.#consider(seen.peer)
    await Promise.all([store?.ready(), ...room])
  }

  async notice(code: string, message: string): Promise<void> {
    this.swarm.notices.push(message)
    await this.#context.emit({ type: 'notice', atMs: this.#context.clock.now(), torrent: this.swarm.id, code, message })
  }

  /** Queues a peer for its one visit of the round, if it may be visited. */
  #consider(peer: PeerState): void {
    const { harvester, policy, pool } = this.#context
    if (harvester === undefined || this.#taken.has(peer) || !this.#mayVisit(peer)) return
    const refusal = policy.judge('peer', 'tcp', peer.endpoint, { channels: peer.channels.size })
    if (refusal !== undefined) {
      // Not taken: a second channel may yet speak for a low port.
      peer.lastOutcome = 'forbidden'
      return
    }
    this.#taken.add(peer)
    this.#tasks.start(() => pool.add(this.swarm.id, () => this.#visit(peer)))
  }

  #mayVisit(peer: PeerState): boolean {
    if (this.#contact.signal.aborted || peer.visit?.handshaken) return false
    // BEP 27: of a private torrent only the peers that its trackers or its owner named.
    return !this.swarm.isPrivate || peer.channels.has('tracker') || peer.channels.has('magnet')
  }

  async #visit(peer: PeerState): Promise<void> {
    for (let redials = 0; redials <= limits.redials; ) {
      if (!this.#mayVisit(peer)) {
        this.#taken.delete(peer)
        return
      }
      const visit = await this.#session(peer)
      if (visit === undefined) {
        // Cut short by the end of the round, or by metadata that says private: then it is held again as for a private
        // torrent. Not at once: Transmission turns away who has just left it.
        await sleep(this.#context.clock, limits.redialPauseMs, this.#contact.signal)
        continue
      }
      peer.lastOutcome = visit.outcome
      if (visit.outcome !== 'over-budget') return this.#record(visit)
      // A rate passes, if slowly; descriptors or ports may never come free.
      if (visit.detail !== OVER_RATE) redials++
      await sleep(this.#context.clock, limits.redialPauseMs, this.#contact.signal)
    }
  }

  async #record(visit: Visit): Promise<void> {
    this.swarm.visited(visit)
    this.#context.store?.visit(this.swarm.id, visit)
    await this.#context.emit({ type: 'visit', torrent: this.swarm.id, ...visit })
  }

  /** One wire session; undefined when it was cut short before the peer said anything. */
  async #session(peer: PeerState): Promise<Visit | undefined> {
    const { harvester, settings } = this.#context
    if (harvester === undefined) return undefined
    const { swarm } = this
    const { signal } = swarm.isPrivate ? this.#contact : this.#public
    const session = harvester.visit(peer.endpoint, {
      swarm: wireHashFor(peer, swarm),
      claim: { channels: peer.channels.size },
      hints: hintsOf(peer),
      stayMs: settings.stayMs,
      signal,
      private: () => swarm.isPrivate,
      pieceCount: () => swarm.metadata?.info.pieceCount,
      wantsMetadata: () => this.#wantsMetadataFrom(peer),
    })
    return this.#follow(session, { peer }, signal)
  }

  /** Takes in what a session tells; undefined when it was cut short before the peer said anything. */
  async #follow<T>(
    session: AsyncGenerator<SessionEvent, T>,
    who: { peer: PeerState | undefined; handshaken?: boolean },
    signal: AbortSignal,
  ): Promise<T | undefined> {
    const { swarm } = this
    const isPublic = signal === this.#public.signal
    try {
      return await readAll(session, async (event) => {
        switch (event.type) {
          case 'opened':
            if (isPublic) this.#greeted++
            break
          case 'handshaken':
            who.handshaken = true
            break
          case 'observation':
            if (event.observation.channel === 'inbound') who.peer = await this.#called(event.observation)
            else if (!swarm.isPrivate) await this.observe(event.observation)
            break
          case 'metadata':
            if (who.peer !== undefined) await this.#metadata(event.bytes, who.peer.endpoint)
            break
          case 'metadata-rejected':
            if (who.peer === undefined) break
            this.#metadataFetchers.delete(who.peer)
            await this.#metadataRejected(event.problem, who.peer.endpoint)
            break
          case 'dht-node':
            if (!swarm.isPrivate) this.#context.dht?.crawler.addNode(event.endpoint)
            break
        }
      })
    } catch (error) {
      if (signal.aborted && error === signal.reason) return undefined
      throw error
    } finally {
      if (who.peer !== undefined) this.#metadataFetchers.delete(who.peer)
    }
  }

  async #answer(caller: InboundSession): Promise<void> {
    const { swarm } = this
    const { signal } = swarm.isPrivate ? this.#contact : this.#public
    const who: { peer: PeerState | undefined; handshaken?: boolean } = { peer: undefined }
    const session = caller.run({
      stayMs: this.#context.settings.stayMs,
      signal,
      private: () => swarm.isPrivate,
      pieceCount: () => swarm.metadata?.info.pieceCount,
      wantsMetadata: () => who.peer !== undefined && this.#wantsMetadataFrom(who.peer),
      metadata: () => this.#infoBytes,
    })
    const visit = await this.#follow(session, who, signal)
    if (visit === undefined) {
      if (who.handshaken) swarm.callersWithoutPort++
    } else if (who.peer !== undefined) {
      who.peer.lastOutcome = visit.outcome
      await this.#record(visit)
    }
  }

  /** Somebody who called us has said where it listens. */
  async #called(observation: Observation): Promise<PeerState | undefined> {
    const key = endpointKey(observation.peer)
    if (this.swarm.peers.get(key)?.channels.has('inbound') !== true) this.#calledMs = this.#context.clock.monotonic()
    await this.observe(observation)
    return this.swarm.peers.get(key)
  }

  /**
   * A few sessions fetch at once: one honest peer is enough. Those that have not delivered after a while stand aside, so
   * that slow peers and liars cannot hold all places until the others have left.
   */
  #wantsMetadataFrom(peer: PeerState): boolean {
    if (this.swarm.metadata !== undefined || this.#metadataBroken) return false
    const fetchers = this.#metadataFetchers
    if (fetchers.has(peer)) return true
    const nowMs = this.#context.clock.monotonic()
    const fresh = [...fetchers.values()].filter((sinceMs) => nowMs - sinceMs < limits.metadataHeadStartMs)
    if (fresh.length >= limits.metadataFetchers) return false
    fetchers.set(peer, nowMs)
    return true
  }

  async #metadataRejected(problem: string, from: Endpoint): Promise<void> {
    this.swarm.metadataProblem ??= problem
    const atMs = this.#context.clock.now()
    await this.#context.emit({ type: 'metadata-rejected', atMs, torrent: this.swarm.id, from, problem })
  }

  async #metadata(bytes: Uint8Array, from: Endpoint): Promise<void> {
    const { swarm } = this
    const { clock, store } = this.#context
    if (swarm.metadata !== undefined || this.#metadataBroken) return
    const info = parseInfo(bytes)
    if ('problem' in info) {
      this.#metadataBroken = true
      swarm.metadataProblem = `the metadata has the right hash but cannot be read: ${info.problem}`
      await this.#metadataRejected(swarm.metadataProblem, from)
      return
    }
    const afterMs = clock.now() - swarm.startedMs
    this.#infoBytes = bytes
    const added = swarm.learn({ info, from, afterMs })
    store?.torrent(swarm.record())
    await this.#context.emit({ type: 'metadata', atMs: clock.now(), torrent: swarm.id, info, from, afterMs })
    if (info.private) await this.#turnPrivate()
    for (const hash of added) {
      await this.notice('hybrid', `the metadata names a second swarm of this torrent: ${hash}`)
      if (!this.#contact.signal.aborted) this.#open(hash)
    }
    await this.#checkMagnetV2(info)
  }

  async #checkMagnetV2(info: TorrentInfo): Promise<void> {
    const named = this.swarm.target.hashes.v2
    if (named !== undefined && info.hashes.v2 !== named) {
      await this.notice(
        'hash-mismatch',
        'the target names two different torrents: its v2 hash is not that of the metadata',
      )
    }
  }

  /** BEP 27: from here on nothing goes to the DHT, to PEX or to peers that no tracker named; and the report says what already did. */
  async #turnPrivate(): Promise<void> {
    const { privateOk } = this.#context.settings
    if (privateOk) this.#public.abort()
    else this.#endContact()
    const before = `before its metadata said so, ${counted(this.lookups, 'DHT lookup')} had been started and ${counted(this.#greeted, 'peer')} greeted as for a public one`
    await this.notice(
      'private',
      privateOk
        ? `this torrent is private: only its trackers are asked from here on; ${before}`
        : `this torrent is private: contact with its swarm has ended (--private-ok goes on with its trackers); ${before}`,
    )
  }
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
