/** A group commit: what a round buffered becomes numbers and rows, in one batch. */
import { canonicalAddress, type Endpoint, endpointKey, limits, type Teller, type TrackerReport } from '@swarmatlas/core'
import type { Met } from './address-book.ts'
import type { Facts } from './facts.ts'
import { toJson } from './json-row.ts'
import type { Write } from './level-store.ts'
import { decodeRow, encodeRow, mergeRows } from './observation-row.ts'
import type { RoundBuffer } from './round-buffer.ts'
import { keys, type TellerRef } from './schema.ts'
import { encodeVisit } from './visit-row.ts'

/**
 * Writes the buffer's facts. One caller at a time. It may be tried again after a failure: numbers that were given are
 * found again, and the rows themselves are all or nothing.
 */
export async function commit(facts: Facts, round: number, buffer: RoundBuffer): Promise<void> {
  const { store, book, torrents, trackers } = facts
  const numbers = await book.numbersOf(endpointsOf(buffer))
  const numberOf = (endpoint: Endpoint) => numbers.get(endpointKey(endpoint)) as number

  for (const record of buffer.torrents) {
    await torrents.put(record, record.metadataFrom && numberOf(record.metadataFrom))
  }

  const writes: Write[] = []
  const wires = new Set<number>()
  const entries = [...buffer.observations.values()]
  const rowKeys: Buffer[] = []
  for (const { torrent, observation } of entries) {
    const { swarm, channel, peer, teller } = observation
    const wire = await torrents.wireOf(torrent, swarm)
    wires.add(wire)
    const ref: TellerRef = { kind: teller.kind, number: await tellerNumber(teller) }
    rowKeys.push(keys.observation({ round, wire, peer: numberOf(peer), channel, teller: ref }))
  }
  const stored = await store.getMany(rowKeys)
  entries.forEach(({ row }, i) => {
    const old = stored[i]
    writes.push([rowKeys[i] as Buffer, encodeRow(old === undefined ? row : mergeRows(decodeRow(old), row))])
  })

  for (const { torrent, visit } of buffer.visits) {
    const wire = await torrents.wireOf(torrent, visit.swarm)
    wires.add(wire)
    writes.push([keys.visit({ round, wire, peer: numberOf(visit.peer), atMs: visit.atMs }), encodeVisit(visit)])
  }
  for (const { torrent, report, atMs } of buffer.reports) {
    const wire = await torrents.wireOf(torrent, torrent)
    wires.add(wire)
    const tracker = await trackers.number(trackerName(report.url))
    writes.push([keys.report({ round, wire, tracker, atMs }), toJson(withoutAddresses(report))])
  }
  for (const wire of wires) writes.push([keys.wireRound(wire, round), Buffer.alloc(0)])
  await store.write(writes)

  async function tellerNumber(teller: Teller): Promise<number> {
    if (teller.kind === 'self') return 0
    return teller.kind === 'tracker' ? trackers.number(trackerName(teller.url)) : numberOf(teller.endpoint)
  }
}

function endpointsOf(buffer: RoundBuffer): Map<string, Met> {
  const met = new Map<string, Met>()
  const add = (endpoint: Endpoint, nodeId?: string) => {
    const key = endpointKey(endpoint)
    met.set(key, { endpoint, nodeId: nodeId ?? met.get(key)?.nodeId })
  }
  for (const { observation } of buffer.observations.values()) {
    add(observation.peer)
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
