/**
 * Places by the GeoLite2 tables that geoip-lite ships. They are read when `load` is called, and not before: 0.2 s and
 * 115 MB of memory. geoip-lite watches its files only when asked to; nothing asks here, so no timer or handle is left.
 */
import {
  canonicalAddress,
  type Endpoint,
  type Geo,
  type GeoDatabase,
  isUnicast,
  limits,
  type Place,
  SwarmatlasError,
} from '@swarmatlas/core'

/** One answer of geoip-lite. Texts are empty and numbers null or 0 where the table has none. */
export interface GeoipRow {
  readonly country: string
  readonly region: string
  readonly city: string
  /** Latitude, longitude: degrees. */
  readonly ll: readonly [number | null, number | null]
  /** Accuracy radius, km. */
  readonly area?: number
}

const database: GeoDatabase = {
  name: 'GeoLite2 City (geoip-lite 2.0.3)',
  // The tables carry no date, and the file times are npm's.
  built: null,
  attribution: 'This product includes GeoLite2 data created by MaxMind, available from https://www.maxmind.com',
}

class GeoipLite implements Geo {
  #loading: Promise<void> | undefined
  #lookup: ((address: string) => GeoipRow | null) | undefined

  async load(): Promise<GeoDatabase> {
    this.#loading ??= import('geoip-lite').then(({ default: geoip }) => {
      this.#lookup = geoip.lookup
    })
    await this.#loading
    return database
  }

  place(endpoint: Endpoint): Place | null {
    if (this.#lookup === undefined) throw new SwarmatlasError('BAD_OPTION', 'Geo.load must end before Geo.place')
    const address = canonicalAddress(endpoint.address)
    if (address === undefined || !isUnicast(address, false)) return null
    const found = this.#lookup(address)
    return found === null ? null : placeOf(found)
  }
}

/**
 * A row of the table as a place. The point of an unnamed city, or of one known no better than 200 km, is the middle of a
 * country (30 % of random IPv4 addresses fall on one point in Kansas): it is left out.
 */
export function placeOf(row: GeoipRow): Place | null {
  if (!/^[A-Z]{2}$/.test(row.country)) return null
  const radiusKm = row.area !== undefined && row.area > 0 ? row.area : null
  const [lat, lon] = row.ll
  const exact = row.city !== '' && radiusKm !== null && radiusKm <= limits.cityRadiusKm && lat !== null && lon !== null
  return {
    country: row.country,
    region: row.region === '' ? null : row.region,
    city: exact ? row.city : null,
    lat: exact ? lat : null,
    lon: exact ? lon : null,
    radiusKm,
    asn: null,
    asName: null,
  }
}

export function createGeo(): Geo {
  return new GeoipLite()
}
