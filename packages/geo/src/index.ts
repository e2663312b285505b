export { countryName } from '@swarmatlas/core'
export * from './editions.ts'
export * from './geoip.ts'
export * from './table.ts'
