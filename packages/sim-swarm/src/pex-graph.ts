/**
 * Who is connected to whom, and so names whom over PEX (BEP 11). Peers to be found by PEX hang on hubs: live peers with
 * another channel. Connections are mutual, so a hub is named by those that hang on it.
 */
import { SwarmatlasError } from '@swarmatlas/core'
import { bounds } from './bounds.ts'
import type { SimPeerSpec } from './options.ts'
import type { Prng } from './prng.ts'

/** For each peer, by index, those it names. Peers that never speak name none. */
export function connect(peers: readonly SimPeerSpec[], prng: Prng): ReadonlySet<number>[] {
  const named = peers.map(() => new Set<number>())
  const link = (a: number, b: number) => {
    if (a === b) return
    if (speaks(peers[a])) named[a]?.add(b)
    if (speaks(peers[b])) named[b]?.add(a)
  }
  const indexOf = new Map(peers.map((peer, index) => [peer.name, index]))
  const hanging: number[] = []
  for (const [index, peer] of peers.entries()) {
    const { pexConnected = peer.via.includes('pex') ? 'hubs' : [] } = peer
    if (pexConnected === 'hubs') hanging.push(index)
    else for (const name of pexConnected) link(index, indexOf.get(name) as number)
  }
  if (hanging.length === 0) return named

  const hubs = chooseHubs(peers, hanging.length, prng)
  if (hubs.length === 0) {
    throw new SwarmatlasError('BAD_OPTION', 'simulated swarm: PEX needs a live peer that another channel names')
  }
  // In turn, so that the lists of the hubs are of one length.
  for (const [turn, index] of hanging.entries()) {
    for (let i = 0; i < bounds.pexHubsPerPeer; i++) link(index, hubs[(turn + i) % hubs.length] as number)
  }
  // A hub that hangs on itself only would stay unnamed.
  for (const [turn, hub] of hubs.entries()) link(hub, hubs[(turn + 1) % hubs.length] as number)
  return named
}

/** As many as keep each list within one message; rather those that PEX may name than others. */
function chooseHubs(peers: readonly SimPeerSpec[], hanging: number, prng: Prng): number[] {
  const candidates = [...peers.keys()].filter((index) => {
    const peer = peers[index] as SimPeerSpec
    return speaks(peer) && peer.via.some((channel) => channel !== 'pex')
  })
  const willing = candidates.filter((index) => peers[index]?.via.includes('pex'))
  const others = candidates.filter((index) => !willing.includes(index))
  const wanted = Math.max(bounds.pexHubs, Math.ceil((hanging * bounds.pexHubsPerPeer) / (bounds.pexAdded - 2)))
  return [...prng.sample(willing, wanted), ...prng.sample(others, wanted)].slice(0, wanted)
}

function speaks(peer: SimPeerSpec | undefined): boolean {
  return peer !== undefined && !peer.down && !peer.silent
}
