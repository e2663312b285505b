/** Places from a table that the caller made: for the demo and for tests, whose peers live on loopback. */
import { type Endpoint, endpointKey, type Geo, type GeoDatabase, type Place } from '@swarmatlas/core'

/** `table` is keyed by endpointKey; what it lacks has no place. */
export function createTableGeo(table: ReadonlyMap<string, Place>, database: GeoDatabase): Geo {
  return {
    load: async () => database,
    place: (endpoint: Endpoint) => table.get(endpointKey(endpoint)) ?? null,
  }
}
