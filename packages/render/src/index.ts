export * from './png.ts'
export type { Scene } from './scene.ts'
export * from './svg.ts'
export * from './world-map.ts'
