/** Info-hashes: v1 (SHA-1, BEP 3) and v2 (SHA-256, BEP 52), and the 20-byte form that wire, DHT and trackers speak. */
import { createHash } from 'node:crypto'

/** 40 lower-case hex digits: what is asked for in the DHT, at trackers and in handshakes. */
export type InfoHash = string & { readonly __infoHash: unique symbol }

/** 64 lower-case hex digits: SHA-256 of a v2 info dictionary. */
export type InfoHashV2 = string & { readonly __infoHashV2: unique symbol }

export function parseInfoHash(hex: string): InfoHash | undefined {
  return /^[0-9a-f]{40}$/i.test(hex) ? (hex.toLowerCase() as InfoHash) : undefined
}

export function parseInfoHashV2(hex: string): InfoHashV2 | undefined {
  return /^[0-9a-f]{64}$/i.test(hex) ? (hex.toLowerCase() as InfoHashV2) : undefined
}

/** The 20 bytes of a wire hash. */
export function infoHashBytes(hash: InfoHash): Uint8Array {
  return Buffer.from(hash, 'hex')
}

export function infoHashFromBytes(bytes: Uint8Array): InfoHash {
  if (bytes.length !== 20) throw new TypeError(`an info-hash has 20 bytes, not ${bytes.length}`)
  return Buffer.from(bytes).toString('hex') as InfoHash
}

/** BEP 52: where 20 bytes are spoken, a v2 hash is cut to its first 20. */
export function truncatedV2(hash: InfoHashV2): InfoHash {
  return hash.slice(0, 40) as InfoHash
}

export function sha1InfoHash(info: Uint8Array): InfoHash {
  return createHash('sha1').update(info).digest('hex') as InfoHash
}

export function sha256InfoHash(info: Uint8Array): InfoHashV2 {
  return createHash('sha256').update(info).digest('hex') as InfoHashV2
}

/** What names a torrent: at least one hash. A hybrid has both and lives in two swarms (BEP 52). */
export interface TorrentHashes {
  readonly v1: InfoHash | undefined
  readonly v2: InfoHashV2 | undefined
}

/** The hashes to ask for: v1, then the truncated v2. */
export function wireHashes(hashes: TorrentHashes): InfoHash[] {
  const all = [hashes.v1, hashes.v2 === undefined ? undefined : truncatedV2(hashes.v2)]
  return [...new Set(all.filter((hash) => hash !== undefined))]
}
