import type { Suite } from '../suite.ts'
import { dhtLookup } from './dht-lookup.ts'
import { dhtSimulated } from './dht-simulated.ts'
import { graphIngest, graphQuery } from './graph.ts'

export const suites: readonly Suite[] = [dhtLookup, ...dhtSimulated, graphIngest, graphQuery]
