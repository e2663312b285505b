/**
 * What a round knows of one torrent: its hashes, metadata and peers. Observations and visits go in as they come;
 * everything that a report says is derived from them.
 */
import {
  type Channel,
  type Endpoint,
  type Evidence,
  endpointKey,
  evidenceOf,
  type InfoHash,
  limits,
  type Observation,
  type ObservationFlag,
  type Outcome,
  type PexFlags,
  type Target,
  type TorrentInfo,
  type TrackerReport,
  tellerKey,
  type Visit,
  type Witness,
  wireHashes,
} from '@swarmatlas/core'
import type { TorrentRecord } from '@swarmatlas/peer-graph'

export interface PeerState {
  readonly endpoint: Endpoint
  readonly channels: Set<Channel>
  /** Its tellers: the first limits.tellersPerPeer, and the first of each channel. */
  readonly witnesses: Set<Witness>
  readonly flags: Set<ObservationFlag>
  /** The wire hashes it was named under. */
  readonly swarms: Set<InfoHash>
  firstSeenMs: number
  lastSeenMs: number
  pex: PexFlags | undefined
  visit: Visit | undefined
  lastOutcome: Outcome
}

export interface MetadataFound {
  readonly info: TorrentInfo
  /** Null when the user gave a .torrent file. */
  readonly from: Endpoint | null
  readonly afterMs: number
}

export class Swarm {
  readonly target: Target
  readonly startedMs: number
  /** The first wire hash: what the torrent is called by. */
  readonly id: InfoHash
  readonly peers: Map<string, PeerState> = new Map()
  readonly trackers: TrackerReport[] = []
  readonly notices: string[] = []
  /** Peers that called us and named no port of theirs. */
  callersWithoutPort = 0
  /** Peers named beyond the cap. */
  overflow = 0
  metadata: MetadataFound | undefined
  /** Why there is no metadata: the last thing that went wrong. */
  metadataProblem: string | undefined
  readonly #wireHashes: InfoHash[]
  /** Each teller once for all the peers that it names. */
  readonly #witnesses: Map<string, Witness> = new Map()

  constructor(target: Target, startedMs: number) {
    this.target = target
    this.startedMs = startedMs
    this.#wireHashes = wireHashes(target.hashes)
    this.id = this.#wireHashes[0] as InfoHash
    if (target.info !== undefined) this.metadata = { info: target.info.info, from: null, afterMs: 0 }
  }

  get wireHashes(): readonly InfoHash[] {
    return this.#wireHashes
  }

  get isPrivate(): boolean {
    return this.metadata?.info.private ?? false
  }

  /** What the store keeps of the torrent itself. */
  record(): TorrentRecord {
    const { target, metadata } = this
    return {
      hashes: metadata?.info.hashes ?? target.hashes,
      target: target.text,
      metadata: metadata?.info ?? null,
      metadataFrom: metadata?.from ?? null,
    }
  }

  /** Takes the metadata in and returns the wire hashes that it adds (a hybrid known by one hash only has a second swarm). */
  learn(metadata: MetadataFound): InfoHash[] {
    this.metadata = metadata
    const added = wireHashes(metadata.info.hashes).filter((hash) => !this.#wireHashes.includes(hash))
    this.#wireHashes.push(...added)
    return added
  }

  /** Undefined when the cap on peers is reached. */
  observe(observation: Observation): { peer: PeerState; isNew: boolean; isNewChannel: boolean } | undefined {
    const key = endpointKey(observation.peer)
    let peer = this.peers.get(key)
    const isNew = peer === undefined
    if (peer === undefined) {
      if (this.peers.size >= limits.peersPerSwarm) {
        this.overflow++
        return undefined
      }
      peer = {
        endpoint: observation.peer,
        channels: new Set(),
        witnesses: new Set(),
        flags: new Set(),
        swarms: new Set(),
        firstSeenMs: observation.atMs,
        lastSeenMs: observation.atMs,
        pex: undefined,
        visit: undefined,
        lastOutcome: 'not-tried',
      }
      this.peers.set(key, peer)
    }
    const isNewChannel = !peer.channels.has(observation.channel)
    peer.channels.add(observation.channel)
    peer.swarms.add(observation.swarm)
    peer.lastSeenMs = Math.max(peer.lastSeenMs, observation.atMs)
    for (const flag of observation.flags) peer.flags.add(flag)
    if (observation.pex !== undefined) peer.pex = observation.pex
    if (isNewChannel || peer.witnesses.size < limits.tellersPerPeer) peer.witnesses.add(this.#witness(observation))
    return { peer, isNew, isNewChannel }
  }

  #witness({ channel, teller }: Observation): Witness {
    const key = `${channel} ${tellerKey(teller)}`
    const known = this.#witnesses.get(key)
    if (known !== undefined) return known
    const witness = { channel, teller }
    this.#witnesses.set(key, witness)
    return witness
  }

  visited(visit: Visit): void {
    const peer = this.peers.get(endpointKey(visit.peer))
    // Who called us may be one who cannot be called: that takes nothing from what it said.
    if (peer === undefined || (peer.visit?.handshaken && !visit.handshaken)) return
    peer.visit = visit
    if (visit.handshaken) peer.lastSeenMs = Math.max(peer.lastSeenMs, visit.atMs)
  }
}

export function evidenceOfPeer(peer: PeerState): Evidence {
  return evidenceOf(peer.witnesses, peer.visit === undefined ? [] : [peer.visit])
}
