/** What all torrents of a round share. */
import type { AddressPolicy, Clock, Logger, SwarmatlasEvent } from '@swarmatlas/core'
import type { BootstrapReport, DhtCrawler } from '@swarmatlas/dht-crawler'
import type { RoundWriter } from '@swarmatlas/peer-graph'
import type { Harvester } from '@swarmatlas/pex-harvester'
import type { TrackerClient } from '@swarmatlas/trackers'
import type { Semaphore } from './gathering.ts'
import type { SessionPool } from './session-pool.ts'
import type { RoundSettings } from './settings.ts'

export interface DhtAccess {
  readonly crawler: DhtCrawler
  /** Settles when the first nodes answered or all routers failed. */
  readonly ready: Promise<BootstrapReport>
}

export interface RoundContext {
  readonly clock: Clock
  readonly logger: Logger
  readonly policy: AddressPolicy
  readonly settings: RoundSettings
  /** Undefined when the channel is not asked for. */
  readonly dht: DhtAccess | undefined
  readonly trackers: TrackerClient | undefined
  readonly harvester: Harvester | undefined
  readonly pool: SessionPool
  readonly lookups: Semaphore
  readonly announces: Semaphore
  readonly store: RoundWriter | undefined
  emit(event: SwarmatlasEvent): Promise<void>
}
