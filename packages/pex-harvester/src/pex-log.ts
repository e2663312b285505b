/** What one peer tells over PEX, as observations: `added` is a connection of the teller, `dropped` its end and not the peer's leaving. */
import { type Endpoint, endpointKey, type InfoHash, limits, type Meter, type Observation } from '@swarmatlas/core'
import { decodePex } from './pex.ts'

export interface PexLog {
  /** The observations of one message; none once limits.pexMessages were read. */
  read(payload: Uint8Array, atMs: number): Observation[]
  /** Messages read, well-formed ones only. */
  readonly messages: number
  /** Distinct endpoints added. */
  readonly added: number
}

export function createPexLog(
  { meter }: { meter: Meter },
  { swarm, teller }: { swarm: InfoHash; teller: Endpoint },
): PexLog {
  const added = new Set<string>()
  let messages = 0
  return {
    get messages() {
      return messages
    },
    get added() {
      return added.size
    },
    read(payload, atMs) {
      if (messages === limits.pexMessages) {
        meter.count('pex.messages-over-cap')
        return []
      }
      const message = decodePex(payload)
      if (message === undefined) {
        meter.count('pex.malformed')
        return []
      }
      messages++
      if (message.malformed > 0) meter.count('pex.malformed-entries', message.malformed)
      if (message.cut > 0) meter.count('pex.entries-over-cap', message.cut)
      const common = { atMs, swarm, channel: 'pex', teller: { kind: 'peer', endpoint: teller } } as const
      for (const { endpoint } of message.added) added.add(endpointKey(endpoint))
      return [
        ...message.added.map(({ endpoint, flags }): Observation => {
          const observation = { ...common, peer: endpoint, flags: endpoint.port === 1 ? SUSPECT : NONE }
          return flags === undefined ? observation : { ...observation, pex: flags }
        }),
        ...message.dropped.map((peer): Observation => ({ ...common, peer, flags: DROPPED })),
      ]
    },
  }
}

const NONE = [] as const
const SUSPECT = ['suspect-port'] as const
const DROPPED = ['dropped'] as const
