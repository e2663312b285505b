export { openPeerGraph, type PeerGraphComponents, type PeerGraphOptions } from './peer-graph.ts'
export * from './types.ts'
