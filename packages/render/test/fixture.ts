/** Inputs for maps. */
import type { Place } from '@swarmatlas/core'
import type { MapInput } from '../src/index.ts'
import type { CountedPlace } from '../src/places.ts'

export function city(country: string, name: string, lat: number, lon: number, count: number): CountedPlace {
  return { place: { ...countryPlace(country), city: name, lat, lon, radiusKm: 20 }, count }
}

export function countryOnly(country: string, count: number): CountedPlace {
  return { place: countryPlace(country), count }
}

function countryPlace(country: string): Place {
  return { country, region: null, city: null, lat: null, lon: null, radiusKm: 1000, asn: null, asName: null }
}

export function mapInput(points: readonly CountedPlace[], more: Partial<MapInput> = {}): MapInput {
  const peers = points.reduce((sum, { count }) => sum + count, 0)
  return {
    title: 'The Commons',
    fromMs: Date.UTC(2026, 10, 22, 18),
    toMs: Date.UTC(2026, 10, 22, 20),
    points,
    observed: { peers, handshaken: 3, seeds: 1, leeches: 2, unplaced: 0 },
    byChannel: [{ channel: 'dht', peers }],
    database: { name: 'GeoLite2', built: '2026-11-01', attribution: 'GeoLite2 data created by MaxMind' },
    vantage: 'home',
    version: '1.2.3',
    demo: false,
    notes: ['One pass: no estimate of completeness.'],
    ...more,
  }
}

/** `count` points of one peer, spread over land and sea in many countries. Linear congruential: the same each time. */
export function scattered(count: number): CountedPlace[] {
  const countries = ['FR', 'DE', 'JP', 'BR', 'US', 'IN', 'ZA', 'AU', 'KR', 'GB', 'AQ', 'FJ']
  let state = 7
  const next = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return (state / 0x1_0000_0000) * below
  }
  return Array.from({ length: count }, () => {
    const country = countries[Math.floor(next(countries.length))] as string
    if (next(4) < 1) return countryOnly(country, 1)
    return city(
      country,
      `Town ${Math.floor(next(900))}`,
      Math.round(next(1400)) / 10 - 60,
      Math.round(next(3600)) / 10 - 180,
      1,
    )
  })
}
