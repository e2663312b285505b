/** Opens a store that must exist. */

import { silentLogger } from '@swarmatlas/core'
import { nodeClock } from '@swarmatlas/core/node'
import { openPeerGraph, type PeerGraph } from '@swarmatlas/peer-graph'

export function openStore(dir: string, command: string): Promise<PeerGraph> {
  return openPeerGraph({ clock: nodeClock, logger: silentLogger }, { dir, create: false, command })
}
