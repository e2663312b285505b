/** What all torrents of a round share. */
import type { AddressPolicy, Clock, Logger, Meter, Resolver, SwarmatlasEvent } from '@swarmatlas/core'
import type { BootstrapReport, DhtCrawler } from '@swarmatlas/dht-crawler'
import type { RoundWriter } from '@swarmatlas/peer-graph'
import type { Harvester, Listener } from '@swarmatlas/pex-harvester'
import type { TrackerClient } from '@swarmatlas/trackers'
import type { Semaphore } from './semaphore.ts'
import type { SessionPool } from './session-pool.ts'
import type { RoundSettings } from './settings.ts'

export interface DhtAccess {
  readonly crawler: DhtCrawler
  /**
   * Enters the DHT on the first call: with private torrents alone nothing is ever sent there. Settles when the first
   * nodes answered or all routers failed.
   */
  enter(): Promise<BootstrapReport>
}

export interface RoundContext {
  readonly clock: Clock
  readonly logger: Logger
  readonly meter: Meter
  readonly policy: AddressPolicy
  readonly resolver: Resolver
  readonly settings: RoundSettings
  /** Undefined when the channel is not asked for. */
  readonly dht: DhtAccess | undefined
  readonly trackers: TrackerClient | undefined
  readonly harvester: Harvester | undefined
  /** Undefined when nobody may call us. */
  readonly listener: Listener | undefined
  readonly pool: SessionPool
  readonly lookups: Semaphore
  readonly announces: Semaphore
  readonly store: RoundWriter | undefined
  /** Resolves when there is room for more. */
  emit(event: SwarmatlasEvent): Promise<void>
  /** Ends the round, which throws the error in the end: the store cannot be written. */
  fail(error: unknown): void
}
