/** How a libtorrent node guards itself: deaf to who asks too often, silent when it has sent too much. */
import type { Clock } from '@swarmatlas/core'
import { bounds } from './bounds.ts'

export interface DhtManners {
  /** Call it for each packet. `banned`: with this packet the asker went too far. */
  hears(asker: string): 'yes' | 'no' | 'banned'
  /** Whether so many bytes may still be sent; they are then counted as sent. */
  maySend(bytes: number): boolean
}

export function createDhtManners({ clock }: { clock: Pick<Clock, 'monotonic'> }): DhtManners {
  const askers = new Map<string, { packets: number; untilMs: number }>()
  const most = bounds.dhtBurstS * bounds.dhtBytesPerS
  let quota = most
  let filledMs = clock.monotonic()
  return {
    hears(asker) {
      const now = clock.monotonic()
      const record = askers.get(asker) ?? { packets: 0, untilMs: now + bounds.dhtBanWindowMs }
      askers.set(asker, record)
      if (++record.packets < bounds.dhtBanPackets) return 'yes'
      if (now >= record.untilMs) {
        askers.set(asker, { packets: 0, untilMs: now + bounds.dhtBanWindowMs })
        return 'yes'
      }
      // Each further packet prolongs it: only who is silent so long is heard again.
      record.untilMs = now + bounds.dhtBanMs
      return record.packets === bounds.dhtBanPackets ? 'banned' : 'no'
    },
    maySend(bytes) {
      const now = clock.monotonic()
      quota = Math.min(most, quota + ((now - filledMs) * bounds.dhtBytesPerS) / 1_000)
      filledMs = now
      if (quota <= 0) return false
      quota -= bytes
      return true
    },
  }
}
