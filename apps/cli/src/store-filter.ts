/** The options that choose a part of a store. */
import {
  type Endpoint,
  type InfoHash,
  parseEndpoint,
  parseInfoHash,
  parseInfoHashV2,
  SwarmatlasError,
  truncatedV2,
} from '@swarmatlas/core'
import type { PeerGraph } from '@swarmatlas/peer-graph'

export interface StoreFilterOptions {
  store: string
  swarm?: string
  round?: string
}

export interface StoreFilter {
  readonly swarm: InfoHash | undefined
  readonly round: number | 'latest' | undefined
}

/** Before the store is opened: a mistyped option should not wait for it. */
export function parseStoreFilter({ swarm, round }: StoreFilterOptions): StoreFilter {
  return { swarm: swarmOf(swarm), round: roundOf(round) }
}

/** A swarm or round that is not there is a mistake, not an empty answer. */
export async function checkStoreFilter(store: PeerGraph, { swarm, round }: StoreFilter): Promise<void> {
  if (swarm !== undefined && (await store.torrent(swarm)) === undefined) {
    throw new SwarmatlasError('BAD_OPTION', `--swarm: ${swarm} is not in ${store.dir}`, {
      hint: 'swarmatlas swarms lists what is',
    })
  }
  if (typeof round !== 'number') return
  for await (const { number } of store.rounds()) if (number === round) return
  throw new SwarmatlasError('BAD_OPTION', `--round: there is no round ${round} in ${store.dir}`, {
    hint: 'swarmatlas rounds lists what is there',
  })
}

function swarmOf(text: string | undefined): InfoHash | undefined {
  if (text === undefined) return undefined
  const v2 = parseInfoHashV2(text)
  const hash = v2 === undefined ? parseInfoHash(text) : truncatedV2(v2)
  if (hash === undefined)
    throw new SwarmatlasError('BAD_OPTION', `--swarm: "${text}" is no info-hash of 40 or 64 hex digits`)
  return hash
}

function roundOf(text: string | undefined): number | 'latest' | undefined {
  if (text === undefined || text === 'latest') return text
  if (!/^[1-9]\d*$/.test(text))
    throw new SwarmatlasError('BAD_OPTION', `--round: "${text}" is neither a number nor "latest"`)
  return Number(text)
}

/** `name`: what the user wrote it behind. */
export function endpointOf(name: string, text: string): Endpoint {
  const endpoint = parseEndpoint(text)
  if (endpoint === undefined) {
    throw new SwarmatlasError('BAD_OPTION', `${name}: "${text}" is no address with a port`, {
      hint: 'for example 203.0.113.5:6881 or [2001:db8::5]:6881',
    })
  }
  return endpoint
}
