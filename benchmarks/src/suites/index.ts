import type { Suite } from '../suite.ts'
import { dhtLookup } from './dht-lookup.ts'

export const suites: readonly Suite[] = [dhtLookup]
