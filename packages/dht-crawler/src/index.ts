export type { BootstrapReport } from './bootstrap.ts'
export {
  createDhtCrawler,
  type DhtCrawler,
  type DhtCrawlerComponents,
  type DhtCrawlerOptions,
  type GetPeersOptions,
  type LookupDepth,
} from './crawler.ts'
export type { DhtState } from './dht-state.ts'
export type { DhtLookupSummary } from './lookup/peer-search.ts'
export type { UnansweredNode } from './node-book.ts'
export type { PacketBudget } from './query-socket.ts'
export { checkReceiveBuffer, type ReceiveBufferCheck } from './receive-window.ts'
