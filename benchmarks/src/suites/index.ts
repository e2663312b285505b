import type { Suite } from '../suite.ts'
import { dhtLookup } from './dht-lookup.ts'
import { dhtSimulated } from './dht-simulated.ts'

export const suites: readonly Suite[] = [dhtLookup, ...dhtSimulated]
