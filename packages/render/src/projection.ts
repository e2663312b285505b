/** Where on the sheet a point of the globe stands, and the land beneath. Natural Earth by way of world-atlas. */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { type GeoPath, type GeoProjection, geoAzimuthalEqualArea, geoEqualEarth, geoPath } from 'd3-geo'
import type { MultiPoint } from 'geojson'
import { merge, mesh } from 'topojson-client'
import type { GeometryCollection, MultiPolygon, Polygon, Topology } from 'topojson-specification'
import type { Box } from './scene.ts'

export interface BaseMap {
  readonly frame: Box
  /** Path data. */
  readonly sea: string
  readonly land: string
  readonly borders: string
  /** Undefined for what lies outside the frame. */
  project(lon: number, lat: number): readonly [number, number] | undefined
}

/** Antarctica has no swarms and would take a fifth of the sheet. */
const ANTARCTICA = '010'
/** The view of the world: from the southern tip of America to the north of Greenland, turned so that Bering's Strait is not cut. */
const WORLD_DEG = { west: -169, east: 191, south: -56, north: 84 } as const
const WORLD_TURN_DEG = -11
const EUROPE_DEG = { west: -10.5, east: 31, south: 35.5, north: 61.5 } as const

const require = createRequire(import.meta.url)

type Area = Polygon | MultiPolygon

let atlas: Promise<Topology> | undefined
/** Projecting all coasts takes 0.1 s: it is done once for a frame. */
const made = new Map<string, Promise<BaseMap>>()

/** Equal Earth (Šavrič, Patterson, Jenny 2018): areas are true. */
export function worldBase(frame: Box): Promise<BaseMap> {
  const projection = geoEqualEarth().rotate([WORLD_TURN_DEG, 0])
  return once('world', frame, () => baseMap(projection, frame, outline(WORLD_DEG)))
}

/** Lambert's azimuthal equal-area projection about the middle of Europe. */
export function europeBase(frame: Box): Promise<BaseMap> {
  const projection = geoAzimuthalEqualArea().rotate([-10, -50])
  return once('europe', frame, () => baseMap(projection, frame, outline(EUROPE_DEG)))
}

function once(view: string, frame: Box, make: () => Promise<BaseMap>): Promise<BaseMap> {
  const key = `${view} ${frame.x} ${frame.y} ${frame.width} ${frame.height}`
  const base = made.get(key) ?? make()
  made.set(key, base)
  return base
}

async function baseMap(projection: GeoProjection, frame: Box, view: MultiPoint): Promise<BaseMap> {
  const { x, y, width, height } = frame
  projection.fitExtent(
    [
      [x, y],
      [x + width, y + height],
    ],
    view,
  )
  projection.clipExtent([
    [x, y],
    [x + width, y + height],
  ])
  const path: GeoPath = geoPath(projection).digits(1)
  atlas ??= readAtlas()
  const topology = await atlas
  const all = topology.objects.countries as GeometryCollection
  const countries: GeometryCollection = {
    ...all,
    geometries: all.geometries.filter((geometry) => geometry.id !== ANTARCTICA),
  }
  return {
    frame,
    sea: path({ type: 'Sphere' }) ?? '',
    land: thinned(path(merge(topology, countries.geometries as Area[]))),
    borders: thinned(path(mesh(topology, countries, (a, b) => a !== b))),
    project(lon, lat) {
      const [px, py] = projection([lon, lat]) ?? [Number.NaN, Number.NaN]
      if (!(px >= x && px <= x + width && py >= y && py <= y + height)) return undefined
      return [round2(px), round2(py)]
    },
  }
}

async function readAtlas(): Promise<Topology> {
  return JSON.parse(await readFile(require.resolve('world-atlas/countries-50m.json'), 'utf8')) as Topology
}

/** Points around a view, which fitExtent brings into the frame. */
function outline(view: typeof WORLD_DEG | typeof EUROPE_DEG): MultiPoint {
  const coordinates: [number, number][] = []
  const steps = 24
  for (let i = 0; i <= steps; i++) {
    const lon = view.west + ((view.east - view.west) * i) / steps
    const lat = view.south + ((view.north - view.south) * i) / steps
    coordinates.push([lon, view.south], [lon, view.north], [view.west + 0.001, lat], [view.east - 0.001, lat])
  }
  return { type: 'MultiPoint', coordinates }
}

/** Points nearer than this to the one before are left out of coasts: no one sees them. */
const THIN = 0.6

function thinned(d: string | null): string {
  let x = Number.POSITIVE_INFINITY
  let y = 0
  return (d ?? '').replace(/([ML])([^,MLZ]+),([^MLZ]+)/g, (point, command: string, toX: string, toY: string) => {
    const near = command === 'L' && Math.abs(Number(toX) - x) < THIN && Math.abs(Number(toY) - y) < THIN
    if (near) return ''
    x = Number(toX)
    y = Number(toY)
    return point
  })
}

/** Two decimals: what every runtime agrees on. */
export function round2(value: number): number {
  return Math.round(value * 100) / 100 || 0
}
