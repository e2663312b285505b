/** The part of geoip-lite 2 that is used; it ships no types. */
declare module 'geoip-lite' {
  const geoip: { lookup(address: string): import('./geoip.ts').GeoipRow | null }
  export default geoip
}
