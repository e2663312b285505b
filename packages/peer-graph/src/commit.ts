/** A group commit: what a round buffered becomes numbers and rows, in one batch. */
import {
  canonicalAddress,
  type Endpoint,
  endpointKey,
  type InfoHash,
  limits,
  type TrackerReport,
} from '@swarmatlas/core'
import type { Met } from './address-book.ts'
import type { Facts } from './facts.ts'
import { toJson } from './json-row.ts'
import type { LevelStore, Write } from './level-store.ts'
import { encodeRow } from './observation-row.ts'
import type { RoundBuffer } from './round-buffer.ts'
import { keys, type TellerRef } from './schema.ts'
import { encodeVisit } from './visit-row.ts'

/**
 * Writes the buffer's facts. One caller at a time. It may be tried again after a failure: numbers that were given are found
 * again, and rows of the same group replace what a first try may have left.
 */
export async function commit(facts: Facts, rows: LevelStore, group: number, buffer: RoundBuffer): Promise<void> {
  const { book, torrents, trackers } = facts
  const numbers = await book.numbersOf(endpointsOf(buffer))
  const numberOf = (endpoint: Endpoint) => numbers.get(endpointKey(endpoint)) as number

  for (const record of buffer.torrents) {
    await torrents.put(record, record.metadataFrom && numberOf(record.metadataFrom))
  }

  const writes: Write[] = []
  const wires = new Set<number>()
  const wireNumbers = new Map<string, number>()
  const wireOf = async (torrent: InfoHash, swarm: InfoHash): Promise<number> => {
    const wire = await torrents.wireOf(torrent, swarm)
    wires.add(wire)
    wireNumbers.set(torrent + swarm, wire)
    return wire
  }
  for (const { torrent, observation, peerKey, row } of buffer.observations.values()) {
    const { swarm, channel, teller } = observation
    const wire = wireNumbers.get(torrent + swarm) ?? (await wireOf(torrent, swarm))
    const number =
      teller.kind === 'self'
        ? 0
        : teller.kind === 'tracker'
          ? await trackers.number(trackerName(teller.url))
          : numberOf(teller.endpoint)
    const ref: TellerRef = { kind: teller.kind, number }
    const peer = numbers.get(peerKey) as number
    writes.push([keys.observation({ wire, peer, channel, teller: ref, group }), encodeRow(row)])
  }
  for (const { torrent, visit } of buffer.visits) {
    const wire = await wireOf(torrent, visit.swarm)
    writes.push([keys.visit({ wire, peer: numberOf(visit.peer), atMs: visit.atMs }), encodeVisit(visit)])
  }
  for (const { torrent, report, atMs } of buffer.reports) {
    const wire = await wireOf(torrent, torrent)
    const tracker = await trackers.number(trackerName(report.url))
    writes.push([keys.report(wire, { tracker, atMs }), toJson(withoutAddresses(report))])
  }
  for (const wire of wires) writes.push([keys.wireHere(wire), Buffer.alloc(0)])
  await rows.write(writes)
}

function endpointsOf(buffer: RoundBuffer): Map<string, Met> {
  const met = new Map<string, Met>()
  const add = (endpoint: Endpoint, nodeId?: string) => {
    const key = endpointKey(endpoint)
    met.set(key, { endpoint, nodeId: nodeId ?? met.get(key)?.nodeId })
  }
  for (const { observation, peerKey } of buffer.observations.values()) {
    if (!met.has(peerKey)) met.set(peerKey, { endpoint: observation.peer })
    const { teller } = observation
    if (teller.kind === 'dht-node') add(teller.endpoint, teller.id)
    else if (teller.kind === 'peer') add(teller.endpoint)
  }
  for (const { visit } of buffer.visits) add(visit.peer)
  for (const { metadataFrom } of buffer.torrents) if (metadataFrom !== null) add(metadataFrom)
  return met
}

function trackerName(url: string): string {
  return url.slice(0, limits.trackerUrlChars)
}

/** A tracker's words may name us or a peer. */
function withoutAddresses(report: TrackerReport): TrackerReport {
  const { detail } = report
  if (detail === undefined) return report
  return { ...report, detail: detail.replace(/[0-9a-f:.]{3,}/gi, (text) => (isAddress(text) ? '…' : text)) }
}

function isAddress(text: string): boolean {
  // With a port, or with the full stop or colon that ends a clause.
  return [text, text.replace(/:\d*$/, ''), text.replace(/[.:]+$/, '')].some(
    (part) => canonicalAddress(part) !== undefined,
  )
}
