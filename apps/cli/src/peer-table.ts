/** A peer as a line of a table. */
import { endpointKey, printable } from '@swarmatlas/core'
import type { PeerReport } from '@swarmatlas/mapper'
import type { Column } from './terminal.ts'

export const peerColumns: readonly Column[] = [
  { head: 'peer', shrinks: true, min: 21 },
  { head: 'evidence' },
  { head: 'role' },
  { head: 'client', shrinks: true, min: 10 },
  { head: 'named by', shrinks: true, min: 8 },
  { head: 'in' },
]

/** The client, or for a peer that did not answer what became of the attempt. */
export function peerRow(peer: PeerReport): string[] {
  const role =
    peer.role === 'leech' && peer.progress !== null ? `leech ${Math.floor(peer.progress * 100)}%` : (peer.role ?? '')
  const client = peer.client ?? (peer.lastOutcome === 'ok' ? '' : peer.lastOutcome)
  return [endpointKey(peer), peer.evidence, role, printable(client), peer.channels.join(','), peer.place?.country ?? '']
}
