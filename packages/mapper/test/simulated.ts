/** A swarm and mappers on a network in memory, in virtual time. */
import { type SimSwarm, type SimSwarmOptions, type SimTorrent, startSimSwarm } from '@swarmatlas/sim-swarm'
import { createSimNetwork, type SimNetwork, type VirtualTime, withVirtualTime } from '@swarmatlas/testkit'
import { openRig, type Rig, type RigOptions } from './rig.ts'

export interface Simulated {
  readonly sim: SimSwarm
  readonly torrent: SimTorrent
  readonly time: VirtualTime
  readonly network: SimNetwork
  /** A mapper on a machine of its own. */
  open(options?: RigOptions & { bootstrap?: [] }): Promise<Rig>
}

const SWARM = '10.1.0.1'
export const US = '10.2.0.1'

/** Closes what `body` opened, and shows that no timer is left. */
export function simulate(options: SimSwarmOptions, body: (simulated: Simulated) => Promise<void>): Promise<void> {
  return withVirtualTime({ seed: 1, limitMs: 3_600_000 }, async (time) => {
    const network = createSimNetwork({ seed: 1, delayMs: [10, 50] })
    const host = network.host([SWARM, '10.1.1.0/24'])
    const sim = await startSimSwarm({ host }, { address: SWARM, ...options })
    const rigs: Rig[] = []
    try {
      await body({
        sim,
        torrent: sim.torrents[0] as SimTorrent,
        time,
        network,
        async open(rigOptions) {
          const rig = await openRig(sim, { host: network.host(US), ...rigOptions })
          rigs.push(rig)
          return rig
        },
      })
    } finally {
      await Promise.all(rigs.map((rig) => rig.mapper.close()))
      await sim.close()
    }
  })
}
