/** Listens with as many connections as its descriptors allow; prints its port, then who called. */
import {
  countingMeter,
  createAddressPolicy,
  createGate,
  endpointKey,
  inboundConnections,
  profiles,
  silentLogger,
} from '@swarmatlas/core'
import { descriptorLimit, nodeHost } from '@swarmatlas/core/node'
import { createListener } from '../../src/index.ts'
import { OUR_ID, SWARM } from './visit.ts'

const host = nodeHost()
const meter = countingMeter()
const policy = createAddressPolicy(host, { profile: profiles.lab, allowPrivate: true })
const listener = await createListener(
  { ...host, gate: createGate({ host, policy, meter }), logger: silentLogger, meter },
  {
    ...{ peerId: OUR_ID, clientName: 'Swarmatlas 0.1.0', port: 0 },
    connections: inboundConnections({ descriptors: await descriptorLimit(), sessions: 20 }),
  },
)
listener.serve(SWARM, async ({ run }) => {
  const session = run({
    ...{ signal: new AbortController().signal, stayMs: 5_000 },
    ...{ private: () => false, wantsMetadata: () => false, pieceCount: () => undefined },
  })
  for await (const event of session) {
    if (event.type === 'observation') console.log(`inbound ${endpointKey(event.observation.peer)}`)
  }
})
console.log(listener.port)
