export type * from './contract.ts'
export * from './harvester.ts'
