/**
 * From peers to what a map may show of them. No symbol tells of a home:
 * - a place within 75 km of one with more peers, in the same country, counts as that place;
 * - what then has fewer than 5 peers counts as its country, beside the peers of which only the country is known.
 * Each placed peer is in one symbol.
 */
import { countryName, limits, type Place } from '@swarmatlas/core'
import { countryPoint } from './country-points.ts'

export interface CountedPlace {
  readonly place: Place | null
  readonly count: number
}

/** `city`: at least 5 peers in and about the named place. `country`: all others of that country. */
export interface MapSymbol {
  readonly kind: 'city' | 'country'
  readonly country: string
  /** The city's name; null for a country. */
  readonly name: string | null
  readonly lon: number
  readonly lat: number
  readonly peers: number
}

export interface Placed {
  /** Most peers first. */
  readonly symbols: readonly MapSymbol[]
  readonly peers: number
  /** Peers by country, most first. */
  readonly countries: readonly { readonly country: string; readonly peers: number }[]
  /** Peers in country symbols because the database knows no more. */
  readonly countryOnly: number
  /** Peers in country symbols because fewer than 5 share a place. */
  readonly merged: number
  readonly unplaced: number
}

/** Countries that are one city, whose quarters no one abroad knows. */
const CITY_COUNTRIES: ReadonlySet<string> = new Set(['HK', 'MO', 'SG', 'MC', 'GI'])

interface Site {
  readonly country: string
  readonly name: string
  readonly lon: number
  readonly lat: number
  peers: number
}

export function placePeers(points: readonly CountedPlace[]): Placed {
  const sites = new Map<string, Site>()
  const rest = new Map<string, number>()
  const byCountry = new Map<string, number>()
  let countryOnly = 0
  let unplaced = 0
  for (const { place, count } of points) {
    if (!(count > 0)) continue
    if (place === null || countryPoint(place.country) === undefined) {
      unplaced += count
      continue
    }
    const { country, city, lat, lon } = place
    add(byCountry, country, count)
    if (city === null || !onGlobe(lon, lat)) {
      countryOnly += count
      add(rest, country, count)
      continue
    }
    const name = CITY_COUNTRIES.has(country) ? countryName(country) : city
    const key = `${country} ${name} ${lon} ${lat}`
    const site = sites.get(key)
    if (site === undefined) sites.set(key, { country, name, lon, lat: lat as number, peers: count })
    else site.peers += count
  }

  const symbols: MapSymbol[] = []
  let merged = 0
  for (const site of gather([...sites.values()].sort(compareSites))) {
    if (site.peers >= limits.peersPerSymbol) {
      symbols.push({ kind: 'city', ...site })
    } else {
      merged += site.peers
      add(rest, site.country, site.peers)
    }
  }
  for (const [country, peers] of rest) {
    const [lon, lat] = countryPoint(country) as readonly [number, number]
    symbols.push({ kind: 'country', country, name: null, lon, lat, peers })
  }
  const countries = [...byCountry].map(([country, peers]) => ({ country, peers }))
  countries.sort((a, b) => b.peers - a.peers || order(a.country, b.country))
  return {
    symbols: symbols.sort((a, b) => b.peers - a.peers || compareSites(a, b)),
    peers: countries.reduce((sum, { peers }) => sum + peers, 0),
    countries,
    countryOnly,
    merged,
    unplaced,
  }
}

/** Degrees of latitude in a bucket of the search below: more than limits.gatherKm anywhere. */
const BUCKET_DEG = 1
const KM_PER_DEGREE = 111.2

/** Lets each site, the largest first, take in the smaller ones about it. */
function gather(sites: readonly Site[]): Site[] {
  const centres: Site[] = []
  const bands = new Map<string, Site[]>()
  for (const site of sites) {
    const band = Math.floor(site.lat / BUCKET_DEG)
    let nearest: Site | undefined
    let nearestKm: number = limits.gatherKm
    for (let b = band - 1; b <= band + 1; b++) {
      for (const centre of bands.get(`${site.country} ${b}`) ?? []) {
        const km = distanceKm(site, centre)
        if (km <= nearestKm) {
          nearestKm = km
          nearest = centre
        }
      }
    }
    if (nearest !== undefined) {
      nearest.peers += site.peers
      continue
    }
    const centre = { ...site }
    centres.push(centre)
    const key = `${site.country} ${band}`
    const inBand = bands.get(key)
    if (inBand === undefined) bands.set(key, [centre])
    else inBand.push(centre)
  }
  return centres
}

/** Equirectangular: exact enough over a hundred kilometres. */
function distanceKm(a: Site, b: Site): number {
  const east = ((a.lon - b.lon + 540) % 360) - 180
  const x = east * Math.cos(((a.lat + b.lat) * Math.PI) / 360)
  const y = a.lat - b.lat
  return Math.sqrt(x * x + y * y) * KM_PER_DEGREE
}

function onGlobe(lon: number | null, lat: number | null): lon is number {
  return lon !== null && lat !== null && Math.abs(lon) <= 180 && Math.abs(lat) <= 90
}

function compareSites(a: MapSymbol | Site, b: MapSymbol | Site): number {
  return (
    b.peers - a.peers ||
    order(a.country, b.country) ||
    order(a.name ?? '', b.name ?? '') ||
    a.lon - b.lon ||
    a.lat - b.lat
  )
}

/** By code unit: the same on every machine. */
function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function add(map: Map<string, number>, key: string, count: number): void {
  map.set(key, (map.get(key) ?? 0) + count)
}
