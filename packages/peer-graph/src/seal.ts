/**
 * Sealing: the rows of a round become blocks, its peers get place and pseudonym, what is derived is derived. The round's row
 * is written last, in one batch with what points to the blocks: until then the rows are what counts. A sealing that was cut
 * short begins anew and writes the same again.
 */
import { type Endpoint, limits } from '@swarmatlas/core'
import { deriveWire, type WireRoundRow } from './derive.ts'
import { FactBlockWriter } from './fact-block.ts'
import type { Facts } from './facts.ts'
import { type PlaceOf, sealIdentities } from './identities.ts'
import { isoWeek } from './iso-week.ts'
import { toJson } from './json-row.ts'
import type { LevelStore, Write } from './level-store.ts'
import { tokensOf } from './networks.ts'
import { openFacts, wiresOf } from './open-rows.ts'
import { type Holding, type RoundRow, readRound } from './rounds.ts'
import { channelCount, keys, parseReportKey, parseVisitKey, ranges, tellerOfId, type WireRoundKey } from './schema.ts'
import { encodeTellers, type TellerTable, TellerTableBuilder } from './teller-table.ts'
import { type OpenRows, openRoundDir } from './view.ts'
import { VisitBlockWriter } from './visit-block.ts'

/** Bytes of blocks written at a time. */
const GROUP = 2 ** 22

export async function sealRound(
  facts: Facts,
  round: number,
  { nowMs, weekDir, placeOf }: { nowMs: number; weekDir(week: string): Promise<string>; placeOf?: PlaceOf | undefined },
): Promise<void> {
  const { store, shelf } = facts
  const begun = (await readRound(store, round)) as RoundRow
  if (begun.counts === undefined) {
    const row: RoundRow = { ...begun, week: begun.week ?? (await weekDir(isoWeek(nowMs))), key: facts.key.id }
    await store.write([[keys.round(round), toJson(row)]], { sync: true })
    const rows: OpenRows = { store: await shelf.store(openRoundDir(round)) }
    const week = await shelf.store(row.week as string)
    const last: Write[] = []
    const counts = { wires: 0, peers: 0, observations: 0 }
    for await (const wire of wiresOf(rows)) {
      const of: WireRoundKey = { round, wire }
      const holding = await sealWire(facts, { rows, week, of, placeOf })
      const derived: WireRoundRow = await deriveWire(facts, { ...of, sealed: { of, week, holding, sameKey: true } })
      counts.wires++
      counts.peers += derived.peers
      counts.observations += derived.observations
      last.push([keys.holding(of), toJson(holding)], [keys.wireRound(of), toJson(derived)])
    }
    // Blocks before what points to them, should the power fail.
    await week.write([[keys.meta('sealed'), toJson(round)]], { sync: true })
    await store.write([...last, [keys.round(round), toJson({ ...row, counts })]], { sync: true })
  }
  facts.openRounds.delete(round)
  void shelf.retire(openRoundDir(round))
}

interface Sealing {
  readonly rows: OpenRows
  readonly week: LevelStore
  readonly of: WireRoundKey
  readonly placeOf: PlaceOf | undefined
}

async function sealWire(facts: Facts, sealing: Sealing): Promise<Holding> {
  const { rows, week, of, placeOf } = sealing
  const group = new WriteGroup(week)
  const numbers = new Set<number>()
  const builders = Array.from({ length: channelCount }, () => new TellerTableBuilder())
  for await (const batch of openFacts(rows, of)) {
    for (let i = 0; i < batch.length; i++) {
      const teller = batch.tellers[i] as number
      builders[batch.channels[i] as number]?.note(teller, batch.firstMs[i] as number, batch.lastMs[i] as number)
      numbers.add(batch.peers[i] as number)
    }
  }
  const writers: ChannelWriter[] = []
  for (const [channel, builder] of builders.entries()) {
    const table = await finishTable(facts, builder, numbers, placeOf)
    let piece = 0
    for (const packed of encodeTellers(table, facts.shelf.compression)) {
      await group.add(keys.tellers(of, channel, piece++), packed)
    }
    writers.push(new ChannelWriter(table, { of, channel, compression: facts.shelf.compression }))
  }
  let count = 0
  for await (const batch of openFacts(rows, of)) {
    count += batch.length
    for (let i = 0; i < batch.length; i++) {
      const full = writers[batch.channels[i] as number]?.add(batch, i)
      if (full !== undefined) await group.add(...full)
    }
  }
  for (const writer of writers) if (writer.open) await group.add(...writer.finish())
  const { visits, visitBlocks } = await sealVisits(sealing, group, numbers, facts.shelf.compression)
  for await (const batch of rows.store.rows(ranges.reports(of.wire))) {
    for (const [key, value] of batch) await group.add(keys.sealedReport(of, parseReportKey(key)), value)
  }
  await group.end()
  await sealIdentities(facts, week, numbers, { placeOf })
  return { facts: count, visits, blocks: writers.map(({ blocks }) => blocks), visitBlocks }
}

/** Adds the tellers that have numbers to `numbers`. */
async function finishTable(
  { book, key }: Facts,
  builder: TellerTableBuilder,
  numbers: Set<number>,
  placeOf: PlaceOf | undefined,
): Promise<TellerTable> {
  const ids = builder.ids()
  const peers: number[] = []
  for (const id of ids) {
    const { kind, number } = tellerOfId(id)
    if (kind === 'peer' || kind === 'dht-node') numbers.add(number)
    if (kind === 'peer') peers.push(number)
  }
  const addresses = await book.entriesOf(peers)
  const tokens = tokensOf(ids, addresses, key)
  const origins = new Map<number, { token: number; asn: number }>()
  ids.forEach((id, i) => {
    const { kind, number } = tellerOfId(id)
    const endpoint: Endpoint | undefined = kind === 'peer' ? addresses.get(number)?.endpoint : undefined
    if (endpoint !== undefined) origins.set(id, { token: tokens[i] as number, asn: placeOf?.(endpoint)?.asn ?? 0 })
  })
  return builder.finish(ids, origins)
}

async function sealVisits(
  { rows, of }: Sealing,
  group: WriteGroup,
  numbers: Set<number>,
  compression: boolean,
): Promise<{ visits: number; visitBlocks: number }> {
  let [visits, visitBlocks] = [0, 0]
  let writer = new VisitBlockWriter()
  const finish = async () => {
    if (writer.length === 0) return
    await group.add(keys.visits(of, writer.lastPeer, visitBlocks++), writer.finish(compression))
    writer = new VisitBlockWriter()
  }
  for await (const batch of rows.store.rows(ranges.visits(of.wire))) {
    for (const [key, value] of batch) {
      const { peer, atMs } = parseVisitKey(key)
      writer.add(peer, atMs, value)
      numbers.add(peer)
      visits++
      if (writer.bytes >= limits.storeBlockBytes) await finish()
    }
  }
  await finish()
  return { visits, visitBlocks }
}

/** The blocks of one channel, one after the other. */
class ChannelWriter {
  readonly #table: TellerTable
  readonly #places: Map<number, number> = new Map()
  readonly #options: { of: WireRoundKey; channel: number; compression: boolean }
  #block: FactBlockWriter
  blocks = 0

  constructor(table: TellerTable, options: { of: WireRoundKey; channel: number; compression: boolean }) {
    this.#table = table
    this.#options = options
    table.ids.forEach((id, place) => void this.#places.set(id, place))
    this.#block = new FactBlockWriter(table, this.#places)
  }

  get open(): boolean {
    return this.#block.length > 0
  }

  /** A block that is full now. */
  add(...fact: Parameters<FactBlockWriter['add']>): [Buffer, Buffer] | undefined {
    this.#block.add(...fact)
    return this.#block.bytes >= limits.storeBlockBytes ? this.finish() : undefined
  }

  finish(): [Buffer, Buffer] {
    const { of, channel, compression } = this.#options
    const key = keys.block(of, channel, this.#block.lastPeer, this.blocks++)
    const value = this.#block.finish(compression)
    this.#block = new FactBlockWriter(this.#table, this.#places)
    return [key, value]
  }
}

class WriteGroup {
  readonly #store: LevelStore
  #writes: Write[] = []
  #bytes = 0

  constructor(store: LevelStore) {
    this.#store = store
  }

  async add(key: Buffer, value: Buffer): Promise<void> {
    this.#writes.push([key, value])
    this.#bytes += value.length
    if (this.#bytes >= GROUP) await this.end()
  }

  async end(): Promise<void> {
    await this.#store.write(this.#writes)
    this.#writes = []
    this.#bytes = 0
  }
}
