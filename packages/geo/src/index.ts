export * from './country.ts'
export * from './editions.ts'
export * from './geoip.ts'
export * from './table.ts'
