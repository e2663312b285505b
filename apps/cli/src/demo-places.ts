/**
 * The demo table: made-up places for the peers of `swarmatlas demo`, which all live on loopback, so that its map shows
 * something. Each peer in turn gets a place, cities with many peers more often; every eleventh is known by country only. Report and map say that the places are made up.
 */
import { type Endpoint, endpointKey, type Geo, type Place } from '@swarmatlas/core'
import { createTableGeo } from '@swarmatlas/geo'

type Row = readonly [country: string, city: string, lat: number, lon: number, share: number]

/** `share`: how many peers of 43 live there. */
const PLACES: readonly Row[] = [
  ['FR', 'Paris', 48.86, 2.35, 6],
  ['JP', 'Tokyo', 35.68, 139.69, 6],
  ['BR', 'São Paulo', -23.55, -46.63, 6],
  ['US', 'New York', 40.71, -74.01, 6],
  ['IN', 'Mumbai', 19.08, 72.88, 6],
  ['DE', 'Berlin', 52.52, 13.41, 6],
  ['ZA', 'Cape Town', -33.92, 18.42, 4],
  ['AU', 'Sydney', -33.87, 151.21, 3],
]

export function demoGeo(endpoints: readonly Endpoint[]): Geo {
  const turns = PLACES.flatMap((row) => Array<Row>(row[4]).fill(row))
  const places = new Map<string, Place>()
  for (const [i, endpoint] of endpoints.entries()) {
    // Steps of 7 through the turns: neighbours in the list do not share a city.
    const [country, city, lat, lon] = turns[(i * 7) % turns.length] as Row
    const countryOnly = i % 11 === 10
    places.set(endpointKey(endpoint), {
      country,
      region: null,
      city: countryOnly ? null : city,
      lat: countryOnly ? null : lat,
      lon: countryOnly ? null : lon,
      radiusKm: countryOnly ? null : 20,
      asn: null,
      asName: null,
    })
  }
  return createTableGeo(places, { name: 'the demo table (made-up places)', built: null, attribution: null })
}
