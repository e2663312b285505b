/** Observations, visits and torrents for tests. */
import type { Endpoint, InfoHash, Observation, TorrentInfo, Visit } from '@swarmatlas/core'
import type { TorrentRecord } from '../src/index.ts'

/** 2026-11-18, a Wednesday of week 47. */
export const startMs: number = Date.UTC(2026, 10, 18, 12)
export const dayMs = 86_400_000

export const round = { atMs: startMs, vantage: 'test', command: 'swarmatlas map' }
export const end = { atMs: startMs + 60_000, reason: 'nothing-new' } as const

export function hash(digit: string): InfoHash {
  return digit.repeat(40).slice(0, 40) as InfoHash
}

export const A: InfoHash = hash('a')
export const B: InfoHash = hash('b')

export function ip(text: string): Endpoint {
  const split = text.lastIndexOf(':')
  return { address: text.slice(0, split).replace(/[[\]]/g, ''), port: Number(text.slice(split + 1)) }
}

export function nodeId(digit: string): string {
  return digit.repeat(40)
}

type Said = Partial<Omit<Observation, 'peer'>>

export function byPex(from: string, peer: string, more: Said = {}): Observation {
  return {
    atMs: startMs,
    swarm: A,
    channel: 'pex',
    teller: { kind: 'peer', endpoint: ip(from) },
    peer: ip(peer),
    flags: [],
    ...more,
  }
}

export function byDht(from: string, peer: string, more: Said = {}): Observation {
  return byPex(from, peer, {
    channel: 'dht',
    teller: { kind: 'dht-node', id: nodeId('7'), endpoint: ip(from) },
    ...more,
  })
}

export function byTracker(url: string, peer: string, more: Said = {}): Observation {
  return byPex(peer, peer, { channel: 'tracker', teller: { kind: 'tracker', url }, ...more })
}

export function visitTo(peer: string, more: Partial<Visit> = {}): Visit {
  return {
    atMs: startMs + 1_000,
    swarm: A,
    peer: ip(peer),
    outcome: 'timeout',
    opened: false,
    handshaken: false,
    refuted: false,
    transport: 'tcp',
    encryption: 'plain',
    pexAdded: 0,
    durationMs: 5_000,
    bytesIn: 0,
    bytesOut: 120,
    ...more,
  }
}

export const answered: Partial<Visit> = { outcome: 'ok', opened: true, handshaken: true }

export function record(more: Partial<TorrentRecord> = {}): TorrentRecord {
  return {
    hashes: { v1: A, v2: undefined },
    target: `magnet:?xt=urn:btih:${A}`,
    metadata: null,
    metadataFrom: null,
    ...more,
  }
}

export function info(hashes: TorrentInfo['hashes']): TorrentInfo {
  return {
    name: '実験',
    totalBytes: 3,
    pieceLength: 16_384,
    pieceCount: 1,
    files: [
      { path: '実験/a', bytes: 1 },
      { path: '実験/b', bytes: 2 },
    ],
    private: false,
    hashes,
  }
}
