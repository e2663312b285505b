export type { BootstrapReport } from './bootstrap.ts'
export { createDhtCrawler, type DhtCrawler, type DhtCrawlerComponents, type DhtCrawlerOptions } from './crawler.ts'
