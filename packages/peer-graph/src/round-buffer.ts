/** What a round took in and has not yet written. The same word of the same teller is held once, with its count. */
import {
  endpointKey,
  type InfoHash,
  type Observation,
  type TrackerReport,
  tellerKey,
  type Visit,
} from '@swarmatlas/core'
import { mergeRows, type ObservationRow, rowOf } from './observation-row.ts'
import type { TorrentRecord } from './types.ts'

export interface BufferedObservation {
  readonly torrent: InfoHash
  /** The first one; times, count and flags of all are in `row`. */
  readonly observation: Observation
  /** endpointKey of its peer, made once: there are millions. */
  readonly peerKey: string
  readonly key: string
  row: ObservationRow
}

export class RoundBuffer {
  readonly torrents: TorrentRecord[] = []
  readonly observations: Map<string, BufferedObservation> = new Map()
  readonly visits: { torrent: InfoHash; visit: Visit }[] = []
  readonly reports: { torrent: InfoHash; report: TrackerReport; atMs: number }[] = []

  get size(): number {
    return this.torrents.length + this.observations.size + this.visits.length + this.reports.length
  }

  observe(torrent: InfoHash, observation: Observation): void {
    const { swarm, channel, teller, peer } = observation
    const peerKey = endpointKey(peer)
    const key = `${swarm} ${channel} ${peerKey} ${tellerKey(teller)}`
    this.#add({ torrent, observation, peerKey, key, row: rowOf(observation) })
  }

  /** Takes all that `later` holds. */
  absorb(later: RoundBuffer): void {
    this.torrents.push(...later.torrents)
    for (const entry of later.observations.values()) this.#add(entry)
    this.visits.push(...later.visits)
    this.reports.push(...later.reports)
  }

  #add(entry: BufferedObservation): void {
    const known = this.observations.get(entry.key)
    if (known === undefined) this.observations.set(entry.key, entry)
    else known.row = mergeRows(known.row, entry.row)
  }
}
