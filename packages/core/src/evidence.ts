/** Evidence: how sure we are of a peer, derived from the observations that name it and the visits paid to it. */
import { prefixOf } from './endpoint.ts'
import type { Channel, Teller } from './observation.ts'
import type { Visit } from './visit.ts'

/** Weakest first. `refuted` stands outside the order. */
export const evidenceLevels = ['hearsay', 'corroborated', 'reachable', 'handshaken', 'role-known', 'refuted'] as const
export type Evidence = (typeof evidenceLevels)[number]

/** Who named a peer, without repetition. */
export interface Witness {
  readonly channel: Channel
  readonly teller: Teller
  /** Autonomous system of the teller's address; undefined when unknown. */
  readonly asn?: number | undefined
}

/**
 * Corroborated: two channels, or two tellers of one channel in different networks (/24 or /48) and, where both are known,
 * autonomous systems. All DHT holders of one lookup count as one teller: they store what the same announce left with them.
 */
export function isCorroborated(witnesses: Iterable<Witness>): boolean {
  let channel: Channel | undefined
  const asns = new Map<string, number | undefined>()
  for (const witness of witnesses) {
    if (channel !== undefined && witness.channel !== channel) return true
    channel = witness.channel
    const network = networkOf(witness.teller)
    for (const [other, asn] of asns) {
      if (other !== network && (asn === undefined || witness.asn === undefined || asn !== witness.asn)) return true
    }
    asns.set(network, witness.asn)
  }
  return false
}

/** What makes two tellers independent: their networks; trackers their hosts. */
function networkOf(teller: Teller): string {
  switch (teller.kind) {
    case 'dht-node':
      return 'dht'
    case 'tracker':
      return hostOf(teller.url)
    case 'peer':
      return prefixOf(teller.endpoint.address)
    case 'self':
      return 'self'
  }
}

function hostOf(url: string): string {
  return /^[a-z]+:\/\/(\[[^\]]*\]|[^:/?#]*)/i.exec(url)?.[1]?.toLowerCase() ?? url
}

/** The part of a visit that evidence rests on. */
export type VisitProof = Pick<Visit, 'opened' | 'handshaken' | 'refuted' | 'role'>

export function evidenceOf(witnesses: Iterable<Witness>, visits: Iterable<VisitProof>): Evidence {
  let refuted = false
  let opened = false
  let handshaken = false
  for (const visit of visits) {
    if (visit.handshaken && visit.role !== undefined) return 'role-known'
    handshaken ||= visit.handshaken
    refuted ||= visit.refuted
    opened ||= visit.opened
  }
  if (handshaken) return 'handshaken'
  if (refuted) return 'refuted'
  if (opened) return 'reachable'
  return isCorroborated(witnesses) ? 'corroborated' : 'hearsay'
}
