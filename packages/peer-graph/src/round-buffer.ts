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
    this.#add({ torrent, observation, row: rowOf(observation) })
  }

  /** Takes all that `later` holds. */
  absorb(later: RoundBuffer): void {
    this.torrents.push(...later.torrents)
    for (const entry of later.observations.values()) this.#add(entry)
    this.visits.push(...later.visits)
    this.reports.push(...later.reports)
  }

  #add(entry: BufferedObservation): void {
    const { swarm, channel, teller, peer } = entry.observation
    const key = `${swarm} ${channel} ${endpointKey(peer)} ${tellerKey(teller)}`
    const known = this.observations.get(key)
    if (known === undefined) this.observations.set(key, entry)
    else known.row = mergeRows(known.row, entry.row)
  }
}
