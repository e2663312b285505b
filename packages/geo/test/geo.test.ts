import { execFileSync } from 'node:child_process'
import { endpointKey, type Place } from '@swarmatlas/core'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { countryName, createGeo, createTableGeo, formatEditions, placeOf } from '../src/index.ts'

const geo = createGeo()
const at = (address: string) => geo.place({ address, port: 6881 })

const kiel: Place = {
  country: 'DE',
  region: 'SH',
  city: 'Kiel',
  lat: 54.301,
  lon: 10.116,
  radiusKm: 5,
  asn: null,
  asName: null,
}

describe('places by the shipped tables', () => {
  beforeAll(async () => {
    await geo.load()
  })

  it('knows the country but no city of 8.8.8.8, whose point is the middle of the United States', () => {
    expect(at('8.8.8.8')).toMatchObject({ country: 'US', city: null, lat: null, lon: null, asn: null })
    expect(at('8.8.8.8')?.radiusKm).toBeGreaterThan(200)
  })

  it('reads IPv4-mapped IPv6 as IPv4', () => {
    expect(at('::ffff:8.8.8.8')).toEqual(at('8.8.8.8'))
  })

  it('places IPv6', () => {
    expect(at('2001:4860:4860::8888')?.country).toBe('US')
  })

  it.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.20.0.1',
    '192.168.1.1',
    '169.254.1.1',
    '100.64.0.1',
    '203.0.113.5',
    '224.0.0.1',
    '0.0.0.0',
    '255.255.255.255',
    '::',
    '::1',
    'fe80::1',
    'fd00::1',
    '2001:db8::1',
    'ff02::1',
    'example.org',
    '',
    '08.8.8.8',
    'fe80::1%eth0',
  ])('gives no place for %j', (address) => {
    expect(at(address)).toBeNull()
  })

  it('names a city only with a point and a radius of at most 200 km, whatever the address', () => {
    let cities = 0
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
        const place = at(address)
        if (place === null) return
        expect(place.country).toMatch(/^[A-Z]{2}$/)
        expect(place.lat === null).toBe(place.city === null)
        expect(place.lon === null).toBe(place.city === null)
        if (place.city !== null) {
          cities++
          expect(place.radiusKm).toBeLessThanOrEqual(200)
        }
      }),
      { numRuns: 2_000, seed: 1 },
    )
    expect(cities).toBeGreaterThan(0)
  })

  it('throws on no text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer(), (address, port) => {
        geo.place({ address, port })
      }),
    )
  })

  it('says what its licence asks', async () => {
    expect((await geo.load()).attribution).toContain('GeoLite2 data created by MaxMind')
  })
})

describe('rows of the table', () => {
  const row = { country: 'DE', region: 'SH', city: 'Kiel', ll: [54.301, 10.116] as [number, number], area: 5 }

  it('takes a good row over', () => {
    expect(placeOf(row)).toEqual(kiel)
  })

  it.each([
    ['an unnamed city', { ...row, city: '' }],
    ['a radius over 200 km', { ...row, area: 201 }],
    ['no radius', { ...row, area: 0 }],
    ['no point', { ...row, ll: [null, null] as [null, null] }],
  ])('keeps the country only with %s', (_, bad) => {
    expect(placeOf(bad)).toMatchObject({ country: 'DE', city: null, lat: null, lon: null })
  })

  it('is no place without a country', () => {
    expect(placeOf({ ...row, country: '' })).toBeNull()
  })
})

it('asks to be loaded first', () => {
  expect(() => createGeo().place({ address: '8.8.8.8', port: 1 })).toThrow(/load/)
})

it('reads nothing at import, and leaves nothing that keeps a process alive', () => {
  const source = `
    const before = process.memoryUsage().arrayBuffers
    const { createGeo } = await import(${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)})
    const imported = process.memoryUsage().arrayBuffers - before
    await createGeo().load()
    console.log(JSON.stringify({ imported, loaded: process.memoryUsage().arrayBuffers - before }))`
  const flags = ['--import', 'tsx', '--conditions=@swarmatlas/source', '--input-type=module', '--eval', source]
  const out = JSON.parse(execFileSync(process.execPath, flags, { encoding: 'utf8', timeout: 15_000 }))
  expect(out.imported).toBeLessThan(10_000_000)
  expect(out.loaded).toBeGreaterThan(50_000_000)
})

it('places endpoints by a table of the caller', async () => {
  const here = { address: '127.0.0.1', port: 7001 }
  const database = { name: 'demo table', built: null, attribution: null }
  const table = createTableGeo(new Map([[endpointKey(here), kiel]]), database)
  expect(await table.load()).toBe(database)
  expect(table.place(here)).toBe(kiel)
  expect(table.place({ ...here, port: 7002 })).toBeNull()
})

describe('editions', () => {
  const database = { name: 'GeoLite2', built: '2026-11-01', attribution: null }

  it('prints the three editions of a known place', () => {
    expect(formatEditions('2a02:8108::1', { ...kiel, asn: 3209, asName: 'Vodafone' }, database)).toBe(
      [
        '2a02:8108::1',
        '  GeoIP Country Edition: DE, Germany',
        '  GeoIP City Edition: DE, SH, Kiel, 54.3010, 10.1160 (within 5 km)',
        '  GeoIP ASNum Edition: AS3209 Vodafone',
        '  Database: GeoLite2, built 2026-11-01',
      ].join('\n'),
    )
  })

  it('says that no city is known, and that AS numbers are not in the database', () => {
    const place = { ...kiel, country: 'US', region: null, city: null, lat: null, lon: null, radiusKm: 1000 }
    const block = formatEditions('8.8.8.8', place, { ...database, built: null })
    expect(block).toContain('Country Edition: US, United States')
    expect(block).toContain('City Edition: US, no city known (within 1000 km)')
    expect(block).toContain('ASNum Edition: not known')
    expect(block).toContain('build date is not recorded')
  })

  it('says when nothing is known, and prints no control characters', () => {
    const block = formatEditions('\u001b[31m', null, database)
    expect(block.match(/IP Address not found/g)).toHaveLength(2)
    expect(block).not.toContain('\u001b')
  })
})

it('names countries', () => {
  expect([countryName('US'), countryName('XK'), countryName('ZZ'), countryName('rubbish')]).toEqual([
    'United States',
    'Kosovo',
    'Unknown Region',
    'rubbish',
  ])
})
