export type * from './contract.ts'
export * from './harvester.ts'
export * from './utp/utp.ts'
