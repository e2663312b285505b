/**
 * Torrents: what groups wire hashes. Facts are keyed by the wire hash that they came by; which hashes are one torrent is
 * learnt later (a hybrid's metadata names both, BEP 52), so grouping never touches a fact.
 */
import { type InfoHash, type InfoHashV2, type TorrentHashes, type TorrentInfo, wireHashes } from '@swarmatlas/core'
import type { Dictionary } from './dictionary.ts'
import { fromJson, toJson } from './json-row.ts'
import type { LevelStore, Snapshot, Write } from './level-store.ts'
import { keys, numberValue, parseNumberValue, ranges } from './schema.ts'
import type { TorrentRecord } from './types.ts'

/** The JSON of a torrent row; what is undefined is left out of it. */
interface TorrentRow {
  readonly wires: readonly number[]
  readonly v1?: InfoHash | undefined
  readonly v2?: InfoHashV2 | undefined
  readonly target: string
  readonly metadata: TorrentInfo | null
  /** Peer number. */
  readonly metadataFrom: number | null
}

export interface Torrent {
  readonly wires: readonly number[]
  readonly wireHashes: readonly InfoHash[]
  readonly hashes: TorrentHashes
  readonly target: string
  readonly metadata: TorrentInfo | null
  readonly metadataFrom: number | null
}

export class Torrents {
  readonly #store: LevelStore
  readonly #wires: Dictionary
  /** Wire hashes known to be of one torrent, as `torrent swarm`. */
  readonly #linked: Set<string> = new Set()

  constructor(store: LevelStore, wires: Dictionary) {
    this.#store = store
    this.#wires = wires
  }

  async put(record: TorrentRecord, metadataFrom: number | null): Promise<void> {
    const { metadata } = record
    const v1 = record.hashes.v1 ?? metadata?.hashes.v1
    const v2 = record.hashes.v2 ?? metadata?.hashes.v2
    const target = record.target.replace(/([?&]x\.pe=)[^&]*/gi, '$1…')
    await this.#join(wireHashes({ v1, v2 }), { v1, v2, target, metadata, metadataFrom })
  }

  /** The wire number of `swarm`, which from now on is a hash of `torrent`. */
  async wireOf(torrent: InfoHash, swarm: InfoHash): Promise<number> {
    const link = `${torrent} ${swarm}`
    if (!this.#linked.has(link)) {
      const owners = [await this.#ownerOf(torrent), await this.#ownerOf(swarm)]
      if (owners[0] === undefined || owners[0] !== owners[1]) await this.#join([torrent, swarm], {})
      this.#linked.add(link)
    }
    return this.#wires.number(swarm)
  }

  async find(hash: InfoHash, snapshot?: Snapshot): Promise<Torrent | undefined> {
    const owner = await this.#ownerOf(hash, snapshot)
    const row = owner === undefined ? undefined : await this.#row(owner, snapshot)
    return row && this.#read(row)
  }

  async *all(snapshot?: Snapshot): AsyncGenerator<Torrent> {
    for await (const rows of this.#store.rows(ranges.torrents, { snapshot, batch: 100 })) {
      for (const [, value] of rows) yield this.#read(fromJson(value, 'a torrent'))
    }
  }

  /** Makes the hashes one torrent, with those they were joined with before. */
  async #join(hashes: readonly InfoHash[], news: Partial<TorrentRow>): Promise<void> {
    const wires = new Set<number>()
    const owners = new Set<number>()
    for (const hash of hashes) {
      wires.add(await this.#wires.number(hash))
      const owner = await this.#ownerOf(hash)
      if (owner !== undefined) owners.add(owner)
    }
    const [first] = owners.size > 0 ? owners : wires
    const torrent = first as number
    let row: TorrentRow = { wires: [], target: '', metadata: null, metadataFrom: null }
    for (const owner of owners) {
      const old = await this.#row(owner)
      if (old !== undefined) row = update(row, old)
    }
    row = update(row, { ...news, wires: [...wires] })

    const writes: Write[] = row.wires.map((wire) => [keys.owner(wire), numberValue(torrent, 4)])
    for (const owner of owners) if (owner !== torrent) writes.push([keys.torrent(owner), null])
    writes.push([keys.torrent(torrent), toJson(row)])
    await this.#store.write(writes)
  }

  async #ownerOf(hash: InfoHash, snapshot?: Snapshot): Promise<number | undefined> {
    const wire = await this.#wires.find(hash)
    const value = wire && (await this.#store.get(keys.owner(wire), snapshot))
    return value ? parseNumberValue(value) : undefined
  }

  async #row(torrent: number, snapshot?: Snapshot): Promise<TorrentRow | undefined> {
    const value = await this.#store.get(keys.torrent(torrent), snapshot)
    return value && fromJson<TorrentRow>(value, 'a torrent')
  }

  async #read({ wires, v1, v2, target, metadata, metadataFrom }: TorrentRow): Promise<Torrent> {
    const named = await Promise.all(wires.map((wire) => this.#wires.text(wire)))
    const met = named.filter((hash) => hash !== undefined) as InfoHash[]
    // Met in an observation before anybody put it: taken for v1.
    const hashes = { v1: v1 ?? (v2 === undefined ? met[0] : undefined), v2 }
    return {
      wires,
      wireHashes: [...new Set([...wireHashes(hashes), ...met])],
      hashes,
      target,
      metadata: metadata && { ...metadata, hashes: { v1: metadata.hashes.v1, v2: metadata.hashes.v2 } },
      metadataFrom,
    }
  }
}

function update(row: TorrentRow, news: Partial<TorrentRow>): TorrentRow {
  const resolved = news.metadata != null
  return {
    wires: [...new Set([...row.wires, ...(news.wires ?? [])])],
    v1: news.v1 ?? row.v1,
    v2: news.v2 ?? row.v2,
    target: news.target || row.target,
    metadata: news.metadata ?? row.metadata,
    metadataFrom: resolved ? (news.metadataFrom ?? null) : row.metadataFrom,
  }
}
