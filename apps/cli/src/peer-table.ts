/** A peer as a line of a table. */
import { endpointKey, printable } from '@swarmatlas/core'
import type { PeerReport } from '@swarmatlas/mapper'
import type { Column } from './terminal.ts'

export const peerColumns: readonly Column[] = [
  { head: 'peer', shrinks: true, min: 21, keepsEnd: true },
  { head: 'known as' },
  { head: 'client', shrinks: true, min: 10 },
  { head: 'named by' },
  { head: 'country' },
]

/**
 * What is known best comes first: the role, else how far the evidence goes. A peer that did not answer shows what became
 * of the attempt in place of a client.
 */
export function peerRow(peer: PeerReport): string[] {
  const role = peer.role === 'leech' && peer.progress !== null ? `leech ${Math.floor(peer.progress * 100)}%` : peer.role
  const client = peer.client ?? (peer.lastOutcome === 'ok' ? '' : `(${peer.lastOutcome})`)
  const country = peer.place?.country ?? ''
  return [endpointKey(peer), role ?? peer.evidence, printable(client), peer.channels.join(' '), country]
}
