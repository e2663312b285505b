import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { countryPoint } from '../src/country-points.ts'
import { type CountedPlace, placePeers } from '../src/places.ts'
import { symbolScale } from '../src/symbols.ts'
import { city, countryOnly, scattered } from './fixture.ts'

const paris = (count: number) => city('FR', 'Paris', 48.86, 2.35, count)

describe('symbols', () => {
  it('shows a city with five peers as a place', () => {
    expect(placePeers([paris(2), paris(3)]).symbols).toEqual([
      { kind: 'city', country: 'FR', name: 'Paris', lon: 2.35, lat: 48.86, peers: 5 },
    ])
  })

  it('never shows where fewer than five are: they count as their country', () => {
    const placed = placePeers([paris(4), countryOnly('FR', 2)])
    expect(placed.symbols).toEqual([{ kind: 'country', country: 'FR', name: null, lon: 2.5, lat: 46.6, peers: 6 }])
    expect(placed).toMatchObject({ merged: 4, countryOnly: 2 })
  })

  it('counts suburbs as the larger place beside them, within a country', () => {
    const placed = placePeers([paris(6), city('FR', 'Versailles', 48.8, 2.13, 4), city('BE', 'Paris', 48.86, 2.36, 4)])
    expect(placed.symbols.map(({ kind, name, country, peers }) => [kind, name ?? country, peers])).toEqual([
      ['city', 'Paris', 10],
      ['country', 'BE', 4],
    ])
  })

  it('gathers across the antimeridian', () => {
    const placed = placePeers([city('FJ', 'Taveuni', -16.8, 179.99, 5), city('FJ', 'Rabi', -16.8, -179.99, 3)])
    expect(placed.symbols).toHaveLength(1)
  })

  it('names Hong Kong, not its quarters', () => {
    const quarters = [city('HK', 'Central', 22.28, 114.16, 6), city('HK', 'Kowloon', 22.32, 114.18, 2)]
    expect(placePeers(quarters).symbols).toMatchObject([{ name: 'Hong Kong', peers: 8 }])
  })

  it('leaves out what has no place, an unknown country, no peers or a point off the globe', () => {
    const nowhere: CountedPlace[] = [
      { place: null, count: 3 },
      countryOnly('??', 2),
      countryOnly('DE', 0),
      countryOnly('DE', -4),
      countryOnly('DE', Number.NaN),
    ]
    expect(placePeers(nowhere)).toMatchObject({ symbols: [], peers: 0, unplaced: 5 })
    expect(placePeers([city('DE', 'X', 95, Number.NaN, 7)])).toMatchObject({ peers: 7, countryOnly: 7 })
  })

  it('counts each placed peer once, in any order of the points', () => {
    const point = fc.record({
      kind: fc.integer({ min: 0, max: 2 }),
      country: fc.constantFrom('FR', 'DE', 'FJ', 'HK', 'GI', 'ZZ'),
      lat: fc.double({ min: -90, max: 90, noNaN: true }),
      lon: fc.double({ min: -180, max: 180, noNaN: true }),
      count: fc.integer({ min: 1, max: 9 }),
    })
    fc.assert(
      fc.property(fc.array(point, { maxLength: 40 }), (rows) => {
        const points = rows.map(({ kind, country, lat, lon, count }) => {
          if (kind === 0) return { place: null, count }
          return kind === 1 ? countryOnly(country, count) : city(country, `${Math.round(lat)}`, lat, lon, count)
        })
        const placed = placePeers(points)
        const all = points.reduce((sum, { count }) => sum + count, 0)
        const shown = placed.symbols.reduce((sum, { peers }) => sum + peers, 0)
        expect(shown).toBe(placed.peers)
        expect(shown + placed.unplaced).toBe(all)
        for (const symbol of placed.symbols) if (symbol.kind === 'city') expect(symbol.peers).toBeGreaterThanOrEqual(5)
        expect(placePeers([...points].reverse())).toEqual(placed)
      }),
    )
  })

  it('takes 20,000 points', () => {
    const placed = placePeers(scattered(20_000))
    expect(placed.symbols.reduce((sum, { peers }) => sum + peers, 0)).toBe(20_000)
  })
})

it('makes areas proportional to peers, whatever the largest', () => {
  for (const largest of [1, 7, 5_000, 250_000]) {
    const scale = symbolScale(largest)
    const area = (peers: number) => Math.PI * scale.radius(peers) * scale.radius(peers)
    expect(area(largest) / area(Math.ceil(largest / 4))).toBeCloseTo(largest / Math.ceil(largest / 4), 1)
    expect(scale.radius(largest)).toBeLessThanOrEqual(34)
  }
})

it('knows where countries are', () => {
  expect(countryPoint('FR')).toEqual([2.5, 46.6])
  expect(countryPoint('XK')).toBeDefined()
  expect(countryPoint('__proto__')).toBeUndefined()
})
