/** Places: where an endpoint is, how exactly, and according to whom. */
import type { Endpoint } from './endpoint.ts'

export interface Place {
  /** ISO 3166-1 alpha-2. */
  readonly country: string
  readonly region: string | null
  /** Null when the database names none or its accuracy radius is over 200 km: the point is then a country's centroid. */
  readonly city: string | null
  /** Degrees, WGS 84. */
  readonly lat: number | null
  readonly lon: number | null
  readonly radiusKm: number | null
  readonly asn: number | null
  readonly asName: string | null
}

export interface GeoDatabase {
  readonly name: string
  /** ISO date of the build; null when the database does not say. */
  readonly built: string | null
  /** The line its licence asks to be printed; null when none. */
  readonly attribution: string | null
}

/** Places endpoints. `load` is called once before the first `place`; both are cheap afterwards. */
export interface Geo {
  load(): Promise<GeoDatabase>
  place(endpoint: Endpoint): Place | null
}

const names: Intl.DisplayNames = new Intl.DisplayNames('en', { type: 'region', fallback: 'code' })

/** The English name of an ISO 3166-1 alpha-2 code, as the runtime's CLDR data has it; the text itself when it is no such code. */
export function countryName(code: string): string {
  if (!/^[A-Z]{2}$/.test(code)) return code
  return (names.of(code) ?? code).replace(' SAR China', '')
}
