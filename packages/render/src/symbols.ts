/** Symbols whose area is in proportion to their peers: one scale for the map, the inset and the legend. */
import type { MapSymbol } from './places.ts'
import { type BaseMap, round2 } from './projection.ts'
import type { CircleNode } from './scene.ts'
import type { Theme } from './theme.ts'

/** Radius of the largest symbol, and of a single peer at most, in units of the sheet. */
const LARGEST_RADIUS = 34
const ONE_PEER_RADIUS = 4.5

export interface SymbolScale {
  radius(peers: number): number
}

export interface PlacedSymbol {
  readonly symbol: MapSymbol
  readonly x: number
  readonly y: number
  readonly r: number
}

export function symbolScale(largest: number): SymbolScale {
  const one = Math.min(ONE_PEER_RADIUS, LARGEST_RADIUS / Math.sqrt(Math.max(largest, 1)))
  return { radius: (peers) => round2(one * Math.sqrt(peers)) }
}

/** Puts symbols on a map. Those outside its view are left out, or with `keepAll` moved to its edge: the world shows every peer. */
export function putSymbols(
  base: BaseMap,
  symbols: readonly MapSymbol[],
  scale: SymbolScale,
  { keepAll }: { keepAll: boolean },
): PlacedSymbol[] {
  const { x, y, width, height } = base.frame
  const put: PlacedSymbol[] = []
  for (const symbol of symbols) {
    const r = scale.radius(symbol.peers)
    const at = base.project(symbol.lon, symbol.lat)
    if (at === undefined && !keepAll) continue
    const [px, py] = at ?? [x + width / 2, symbol.lat < 0 ? y + height : y]
    const inside = (value: number, from: number, length: number) =>
      round2(Math.min(Math.max(value, from + r + 1), from + length - r - 1))
    put.push({ symbol, r, x: keepAll ? inside(px, x, width) : px, y: keepAll ? inside(py, y, height) : py })
  }
  return put
}

/** A disc: a place. A dashed ring: a country, somewhere in it. */
export function drawSymbol({ symbol, x, y, r }: PlacedSymbol, theme: Theme): CircleNode {
  if (symbol.kind === 'country') return ring(x, y, r, theme)
  return disc(x, y, r, theme)
}

export function disc(x: number, y: number, r: number, theme: Theme): CircleNode {
  return { kind: 'circle', x, y, r, fill: theme.peers, fillOpacity: 0.55, stroke: theme.peers, strokeWidth: 0.8 }
}

export function ring(x: number, y: number, r: number, theme: Theme): CircleNode {
  const dash = r < 4 ? ([1.6, 1.4] as const) : ([3, 2.6] as const)
  return {
    kind: 'circle',
    x,
    y,
    r,
    fill: theme.countryOnly,
    fillOpacity: 0.06,
    stroke: theme.countryOnly,
    strokeWidth: 1,
    dash,
  }
}

/** Symbols that touch another. */
export function crowding(put: readonly PlacedSymbol[]): number {
  return put.filter((a) => put.some((b) => a !== b && Math.hypot(a.x - b.x, a.y - b.y) < a.r + b.r)).length
}
