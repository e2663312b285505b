/** What all torrents of a round share. */
import type { AddressPolicy, Clock, Logger, Resolver, SwarmatlasEvent } from '@swarmatlas/core'
import type { BootstrapReport, DhtCrawler } from '@swarmatlas/dht-crawler'
import type { RoundWriter } from '@swarmatlas/peer-graph'
import type { Harvester } from '@swarmatlas/pex-harvester'
import type { TrackerClient } from '@swarmatlas/trackers'
import type { Semaphore } from './gathering.ts'
import type { SessionPool } from './session-pool.ts'
import type { RoundSettings } from './settings.ts'

export interface DhtAccess {
  readonly crawler: DhtCrawler
  /**
   * Enters the DHT on the first call: with private torrents alone nothing is ever sent there. Settles when the first
   * nodes answered or all routers failed.
   */
  enter(): Promise<BootstrapReport>
  /** What entering came to; undefined while nobody asked for it. */
  readonly entered: Promise<BootstrapReport> | undefined
}

export interface RoundContext {
  readonly clock: Clock
  readonly logger: Logger
  readonly policy: AddressPolicy
  readonly resolver: Resolver
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
