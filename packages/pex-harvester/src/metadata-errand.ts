/** The one attempt that a session makes at its peer's metadata: begun when wanted and offered, given up when the peer is too slow. */
import { type InfoHash, limits, type Meter } from '@swarmatlas/core'
import type { SessionEvent } from './contract.ts'
import type { ExtensionFacts } from './extension-handshake.ts'
import { createMetadataFetch, type MetadataFetch } from './metadata.ts'

export interface MetadataErrand {
  /** Asks for what may be asked for now. Call it whenever something came, and from time to time. */
  proceed(facts: ExtensionFacts, nowMs: number): void
  receive(payload: Uint8Array, nowMs: number): void
  /** Until then (monotonic) a piece can still come; 0 when none is on its way. */
  readonly deadlineMs: number
}

export interface MetadataErrandComponents {
  meter: Meter
  /** Sends an extension message under the peer's id. */
  send(id: number, payload: Uint8Array): void
  tell(event: SessionEvent): void
}

export function createMetadataErrand(
  { meter, send, tell }: MetadataErrandComponents,
  { swarm, wantsMetadata }: { swarm: InfoHash; wantsMetadata: () => boolean },
): MetadataErrand {
  let fetch: MetadataFetch | undefined
  let over = false

  const end = () => {
    fetch = undefined
    over = true
  }
  const reject = (problem: string) => {
    tell({ type: 'metadata-rejected', problem })
    end()
  }

  return {
    get deadlineMs() {
      return fetch?.deadlineMs ?? 0
    },
    proceed({ metadataId, metadataSize }, nowMs) {
      if (over || metadataId === undefined || metadataSize === undefined) return
      if (!wantsMetadata()) {
        // Wanted again later, it starts anew.
        fetch = undefined
      } else if (metadataSize > limits.metadataBytes) {
        reject(`${metadataSize} bytes`)
      } else if (fetch !== undefined && fetch.size !== metadataSize) {
        reject(`${fetch.size} bytes first, then ${metadataSize}`)
      } else if (fetch !== undefined && nowMs >= fetch.deadlineMs) {
        meter.count('session.metadata-timeouts')
        end()
      } else {
        fetch ??= createMetadataFetch(swarm, metadataSize, nowMs)
        for (let request = fetch.request(); request !== undefined; request = fetch.request()) send(metadataId, request)
      }
    },
    receive(payload, nowMs) {
      const step = fetch?.receive(payload, nowMs)
      if (step?.kind === 'rejected') reject(step.problem)
      else if (step?.kind === 'refused') end()
      else if (step?.kind === 'done') {
        tell({ type: 'metadata', bytes: step.bytes })
        end()
      }
    },
  }
}
