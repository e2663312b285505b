export * from './counters.ts'
export * from './demo.ts'
export * from './options.ts'
export * from './swarm.ts'
