/**
 * Labels of the largest symbols, in the manner of Christensen, Marks and Shieber (1995): eight positions each, the best
 * free one is taken, the largest symbol chooses first. A label covers no other and never leaves its frame; one that finds
 * no place is left out.
 */
import type { MapSymbol } from './places.ts'
import { round2 } from './projection.ts'
import { type Box, contains, overlaps, type TextNode } from './scene.ts'
import type { PlacedSymbol } from './symbols.ts'
import { shapeText } from './text-shaping.ts'

export interface LabelOptions {
  readonly frame: Box
  /** Boxes that no label may touch. */
  readonly taken: readonly Box[]
  readonly most: number
  readonly sizePx: number
  readonly halo: string
  nameOf(symbol: PlacedSymbol): string
  fillOf(symbol: PlacedSymbol): string
}

/** From the symbol's middle: which way, and which part of the label points to it. In order of preference (Imhof 1975). */
const POSITIONS = [
  [1, 0],
  [-1, 0],
  [0, -1],
  [0, 1],
  [0.7, -0.7],
  [0.7, 0.7],
  [-0.7, -0.7],
  [-0.7, 0.7],
] as const

/** Room between symbol and label, and about each label. */
const GAP = 4
/** Room about the symbols of others. */
const RIM = 1.5
/** What a step down in preference costs, in units of covered area; and the share of itself that a label may lay on discs. */
const STEP_COST = 12
const MAX_COVERED = 0.12
/** The largest few are named even where small discs crowd about them. */
const FOREMOST = 8
const FOREMOST_MAX_COVERED = 0.6
/** A ring is mostly air: covering it costs this part of its area. */
const RING_WEIGHT = 0.04

/** Labels for `wanted`, the most important first; `all` are the symbols that a label should not cover. */
export async function placeLabels(
  wanted: readonly PlacedSymbol[],
  all: readonly PlacedSymbol[],
  options: LabelOptions,
): Promise<TextNode[]> {
  const { frame, sizePx, halo } = options
  const boxes: Box[] = [...options.taken]
  const nodes: TextNode[] = []
  for (const [place, symbol] of wanted.entries()) {
    if (nodes.length >= options.most) break
    const text = await shapeText(options.nameOf(symbol), { sizePx, weight: 500, maxWidthPx: 170 })
    const height = sizePx
    const most = place < FOREMOST ? FOREMOST_MAX_COVERED : MAX_COVERED
    let best: { box: Box; cost: number } | undefined
    for (const [rank, [dx, dy]] of POSITIONS.entries()) {
      const reach = symbol.r + GAP
      const box = {
        x: symbol.x + dx * reach + (dx > 0 ? 0 : dx < 0 ? -1 : -0.5) * text.widthPx,
        y: symbol.y + dy * reach + (dy > 0 ? 0 : dy < 0 ? -1 : -0.5) * height,
        width: text.widthPx,
        height,
      }
      if (!contains(frame, box) || boxes.some((other) => overlaps(box, other))) continue
      const onDiscs = covered(box, all, symbol, 'city')
      if (onDiscs > most * text.widthPx * height) continue
      const cost = rank * STEP_COST + onDiscs + RING_WEIGHT * covered(box, all, symbol, 'country')
      if (best === undefined || cost < best.cost) best = { box, cost }
    }
    if (best === undefined) continue
    const { box } = best
    boxes.push({ x: box.x - GAP, y: box.y - GAP / 2, width: box.width + 2 * GAP, height: box.height + GAP })
    nodes.push({
      kind: 'text',
      x: round2(box.x),
      y: round2(box.y + sizePx * 0.86),
      text,
      fill: options.fillOf(symbol),
      halo,
    })
  }
  return nodes
}

/** Area of other symbols of a kind, as squares with a rim, beneath a box. */
function covered(box: Box, all: readonly PlacedSymbol[], self: PlacedSymbol, kind: MapSymbol['kind']): number {
  let area = 0
  for (const other of all) {
    if (other === self || other.symbol.kind !== kind) continue
    const r = other.r + RIM
    const width = Math.min(box.x + box.width, other.x + r) - Math.max(box.x, other.x - r)
    const height = Math.min(box.y + box.height, other.y + r) - Math.max(box.y, other.y - r)
    if (width > 0 && height > 0) area += width * height
  }
  return area
}
