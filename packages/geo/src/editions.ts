/** What `swarmatlas geo` prints: one line for each of the three editions that geoiplookup knows. */
import { countryName, type GeoDatabase, type Place, printable } from '@swarmatlas/core'

const UNKNOWN = 'IP Address not found'

/**
 * A block without a final newline. `place` is what Geo.place gave for the address; the city line says what is known and
 * that no more is.
 */
export function formatEditions(address: string, place: Place | null, database: GeoDatabase): string {
  const built = database.built === null ? 'its build date is not recorded' : `built ${database.built}`
  return [
    printable(address),
    `  GeoIP Country Edition: ${place === null ? UNKNOWN : `${place.country}, ${countryName(place.country)}`}`,
    `  GeoIP City Edition: ${place === null ? UNKNOWN : cityLine(place)}`,
    `  GeoIP ASNum Edition: ${asnLine(place)}`,
    `  Database: ${database.name}, ${built}`,
  ].join('\n')
}

function cityLine(place: Place): string {
  const radius = place.radiusKm === null ? 'accuracy not given' : `within ${place.radiusKm} km`
  if (place.city === null || place.lat === null || place.lon === null) {
    return `${[place.country, place.region].filter(Boolean).join(', ')}, no city known (${radius})`
  }
  const point = `${place.lat.toFixed(4)}, ${place.lon.toFixed(4)}`
  return `${[place.country, place.region, printable(place.city)].filter(Boolean).join(', ')}, ${point} (${radius})`
}

function asnLine(place: Place | null): string {
  if (place?.asn == null) return 'not known: the database that ships has no AS numbers'
  return `AS${place.asn}${place.asName === null ? '' : ` ${printable(place.asName)}`}`
}
