/** GeoJSON (RFC 7946): peers counted by place. What has no point of its own has a null geometry. */
import type { FileSink } from './file-sink.ts'
import type { PlacedPeer } from './privacy.ts'

interface Spot {
  readonly place: Omit<PlacedPeer, 'role'>
  peers: number
  seeds: number
  leeches: number
}

/** Peers that were counted. Memory grows with the places. */
export async function writeGeojson(sink: FileSink, peers: AsyncIterable<PlacedPeer>): Promise<number> {
  const spots = new Map<string, Spot>()
  let total = 0
  for await (const { role, ...place } of peers) {
    const key = [place.country, place.city, place.lat, place.lon].join('\u0000')
    let spot = spots.get(key)
    if (spot === undefined) {
      spot = { place, peers: 0, seeds: 0, leeches: 0 }
      spots.set(key, spot)
    }
    total++
    spot.peers++
    if (role === 'seed') spot.seeds++
    else if (role !== null) spot.leeches++
  }
  await sink.write('{"type":"FeatureCollection","features":[')
  const sorted = [...spots].sort(([a], [b]) => (a < b ? -1 : 1))
  for (const [i, [, spot]] of sorted.entries()) await sink.write(`${i === 0 ? '\n' : ',\n'}${featureOf(spot)}`)
  await sink.write('\n]}\n')
  return total
}

function featureOf({ place: { country, city, lat, lon }, peers, seeds, leeches }: Spot): string {
  // Longitude first (RFC 7946 3.1.1).
  const geometry = lat === null || lon === null ? null : { type: 'Point', coordinates: [lon, lat] }
  const properties = { country, city, peers, seeds, leeches, unknownRole: peers - seeds - leeches }
  return JSON.stringify({ type: 'Feature', geometry, properties })
}
