/** Names of countries, from the language data that Node ships (CLDR). */

const names: Intl.DisplayNames = new Intl.DisplayNames('en', { type: 'region', fallback: 'code' })

/** The English name of an ISO 3166-1 alpha-2 code; the text itself when it is no such code. */
export function countryName(code: string): string {
  return /^[A-Z]{2}$/.test(code) ? (names.of(code) ?? code) : code
}
