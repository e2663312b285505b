/** One torrent in a round: feeds name peers, peers are visited, visits name more peers, until nothing new comes. */
import { setMaxListeners } from 'node:events'
import {
  type Endpoint,
  type HostPort,
  type InfoHash,
  limits,
  messageOf,
  type Observation,
  parseInfo,
  sleep,
  type TorrentInfo,
  type Visit,
} from '@swarmatlas/core'
import type { RoundContext } from './context.ts'
import { type FeedTarget, feedFromDht, feedFromTracker } from './feeds.ts'
import { createGathering, type Gathering } from './gathering.ts'
import type { PeerState, Swarm } from './swarm.ts'

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
  /** Aborts with the round, or when the torrent turns out private: all that BEP 27 forbids hangs on it. */
  readonly #public = new AbortController()
  readonly #metadataFetchers = new Set<PeerState>()
  /** Peers that are queued, being visited or visited. */
  readonly #taken = new Set<PeerState>()
  #lookups = 0
  #greeted = 0
  /** A private torrent that the user did not allow: contact ends. */
  #forbidden = false

  constructor(context: RoundContext, swarm: Swarm, signal: AbortSignal) {
    this.#context = context
    this.swarm = swarm
    this.#signal = signal
    // Every session listens to it: hundreds of listeners are no leak here.
    setMaxListeners(0, this.#public.signal)
    this.#tasks = createGathering({
      onError: (error) => {
        if (this.#public.signal.aborted) return
        context.logger.error('a task of the round failed', { torrent: swarm.id, error: messageOf(error) })
      },
    })
  }

  async run(): Promise<void> {
    const { swarm } = this
    const follow = () => this.#public.abort()
    if (swarm.isPrivate || this.#signal.aborted) follow()
    if (swarm.isPrivate && !this.#context.settings.privateOk) {
      await this.notice('private', 'this torrent is private: nothing was sent (--private-ok asks its trackers)')
      return
    }
    this.#signal.addEventListener('abort', follow, { once: true })
    for (const note of swarm.target.notes) await this.notice('target', note)
    for (const peer of swarm.target.peers) {
      await this.observe({
        atMs: this.#context.clock.now(),
        swarm: swarm.id,
        channel: 'magnet',
        teller: { kind: 'self' },
        peer,
        flags: [],
      })
    }
    if (!swarm.isPrivate) for (const node of swarm.target.nodes) this.#tasks.start(() => this.#addNode(node))
    for (const hash of swarm.wireHashes) this.#open(hash)
    await this.#tasks.done()
    this.#signal.removeEventListener('abort', follow)
  }

  /** BEP 5: a .torrent may name DHT nodes. */
  async #addNode({ host, port }: HostPort): Promise<void> {
    const { resolver, dht } = this.#context
    const [address] = await resolver.resolve(host, { signal: this.#signal }).catch(() => [])
    if (address !== undefined) dht?.crawler.addNode({ address, port })
  }

  /** Starts the feeds of one wire hash. */
  #open(hash: InfoHash): void {
    const { trackers, dht } = this.#context
    if (trackers !== undefined) {
      for (const url of this.swarm.target.trackers) {
        this.#tasks.start(() => feedFromTracker(this.#context, this, url, hash, this.#signal))
      }
    }
    if (dht !== undefined && !this.swarm.isPrivate) {
      this.#lookups++
      this.#tasks.start(() => feedFromDht(this.#context, this, hash, this.#public.signal))
    }
  }

  async observe(observation: Observation): Promise<void> {
    const { store, clock } = this.#context
    const { swarm } = this
    const seen = swarm.observe(observation)
    if (seen === undefined) return
    store?.observation(swarm.id, observation)
    await store?.ready()
    await this.#context.emit({ type: 'observation', torrent: swarm.id, ...observation })
    if (seen.isNew) {
      const { channel, peer } = observation
      const total = swarm.peers.size
      await this.#context.emit({ type: 'peer', atMs: clock.now(), torrent: swarm.id, peer, channel, total })
    }
    if (seen.isNew || seen.isNewChannel) this.#consider(seen.peer)
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
    this.#tasks.start(() => new Promise((done) => pool.add(this.swarm.id, () => this.#visit(peer).finally(done))))
  }

  #mayVisit(peer: PeerState): boolean {
    if (this.#forbidden) return false
    // BEP 27: of a private torrent only the peers that its trackers or its owner named.
    return !this.swarm.isPrivate || peer.channels.has('tracker') || peer.channels.has('magnet')
  }

  async #visit(peer: PeerState): Promise<void> {
    for (let attempt = 0; attempt <= limits.redials; attempt++) {
      if (this.#signal.aborted) return
      if (!this.#mayVisit(peer)) {
        this.#taken.delete(peer)
        return
      }
      const visit = await this.#session(peer)
      // Cut short by the end of the round, or by metadata that says private: then it is held again as for a private torrent.
      if (visit === undefined) continue
      peer.lastOutcome = visit.outcome
      if (visit.outcome !== 'over-budget') return this.#record(peer, visit)
      await sleep(this.#context.clock, limits.redialPauseMs, this.#signal)
    }
  }

  async #record(peer: PeerState, visit: Visit): Promise<void> {
    const { store, policy } = this.#context
    this.swarm.visited(visit)
    if (visit.handshaken) policy.vouch('peer', peer.endpoint)
    store?.visit(this.swarm.id, visit)
    await this.#context.emit({ type: 'visit', torrent: this.swarm.id, ...visit })
  }

  /** One wire session; undefined when it was cut short before the peer said anything. */
  async #session(peer: PeerState): Promise<Visit | undefined> {
    const { harvester, settings } = this.#context
    if (harvester === undefined) return undefined
    const { swarm } = this
    const startedPublic = !swarm.isPrivate
    const session = harvester.visit(peer.endpoint, {
      swarm: wireHashFor(peer, swarm),
      claim: { channels: peer.channels.size },
      stayMs: settings.stayMs,
      signal: startedPublic ? this.#public.signal : this.#signal,
      private: () => swarm.isPrivate,
      pieceCount: () => swarm.metadata?.info.pieceCount,
      wantsMetadata: () => this.#wantsMetadataFrom(peer),
    })
    try {
      for (;;) {
        const step = await session.next()
        if (step.done) return step.value
        const event = step.value
        switch (event.type) {
          case 'handshaken':
            if (startedPublic) this.#greeted++
            break
          case 'observation':
            if (!swarm.isPrivate) await this.observe(event.observation)
            break
          case 'metadata':
            await this.#metadata(event.bytes, peer.endpoint)
            break
          case 'metadata-rejected':
            await this.#metadataRejected(event.problem, peer)
            break
          case 'dht-node':
            if (!swarm.isPrivate) this.#context.dht?.crawler.addNode(event.endpoint)
            break
        }
      }
    } catch (error) {
      if (this.#public.signal.aborted) return undefined
      throw error
    } finally {
      this.#metadataFetchers.delete(peer)
    }
  }

  /** A few sessions fetch at once: one is enough, but a slow one or a liar must not hold it up. */
  #wantsMetadataFrom(peer: PeerState): boolean {
    if (this.swarm.metadata !== undefined) return false
    if (this.#metadataFetchers.has(peer)) return true
    if (this.#metadataFetchers.size >= limits.metadataFetchers) return false
    this.#metadataFetchers.add(peer)
    return true
  }

  async #metadataRejected(problem: string, peer: PeerState): Promise<void> {
    this.#metadataFetchers.delete(peer)
    this.swarm.metadataProblem ??= problem
    const from = peer.endpoint
    const atMs = this.#context.clock.now()
    await this.#context.emit({ type: 'metadata-rejected', atMs, torrent: this.swarm.id, from, problem })
  }

  async #metadata(bytes: Uint8Array, from: Endpoint): Promise<void> {
    const { swarm } = this
    const { clock, store } = this.#context
    if (swarm.metadata !== undefined) return
    const info = parseInfo(bytes)
    if ('problem' in info) {
      // The hash is right: the torrent itself is broken, no other peer has a better one.
      swarm.metadataProblem = `the metadata has the right hash but cannot be read: ${info.problem}`
      return
    }
    const afterMs = clock.now() - swarm.startedMs
    const added = swarm.learn({ info, from, afterMs })
    store?.torrent(swarm.record())
    await this.#context.emit({ type: 'metadata', atMs: clock.now(), torrent: swarm.id, info, from, afterMs })
    if (info.private) await this.#turnPrivate()
    for (const hash of added) {
      await this.notice('hybrid', `the metadata names a second swarm of this torrent: ${hash}`)
      if (!this.#forbidden) this.#open(hash)
    }
    this.#checkMagnetV2(info)
  }

  #checkMagnetV2(info: TorrentInfo): void {
    const named = this.swarm.target.hashes.v2
    if (named !== undefined && info.hashes.v2 !== named) {
      void this.notice(
        'hash-mismatch',
        'the target names two different torrents: its v2 hash is not that of the metadata',
      )
    }
  }

  /** BEP 27: from here on nothing goes to the DHT, to PEX or to peers that no tracker named; and the report says what already did. */
  async #turnPrivate(): Promise<void> {
    const { settings } = this.#context
    this.#forbidden = !settings.privateOk
    this.#public.abort()
    const before = `before its metadata said so, ${this.#lookups} DHT ${this.#lookups === 1 ? 'lookup' : 'lookups'} had been started and ${this.#greeted} ${this.#greeted === 1 ? 'peer' : 'peers'} greeted as for a public one`
    await this.notice(
      'private',
      this.#forbidden
        ? `this torrent is private: contact with its swarm has ended (--private-ok goes on with its trackers); ${before}`
        : `this torrent is private: only its trackers are asked from here on; ${before}`,
    )
  }
}

/** The hash under which the peer was named; a hybrid's endpoint is dialled once, not per hash. */
function wireHashFor(peer: PeerState, swarm: Swarm): InfoHash {
  return swarm.wireHashes.find((hash) => peer.swarms.has(hash)) ?? swarm.id
}
