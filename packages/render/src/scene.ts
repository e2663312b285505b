/** A picture as data: what stands where, in units of the sheet. Painters know nothing of maps, and maps nothing of files. */
import type { ShapedText } from './text-shaping.ts'

export interface Paint {
  readonly fill?: string
  readonly stroke?: string
  readonly strokeWidth?: number
  /** Lengths of dash and gap. */
  readonly dash?: readonly [number, number]
  /** 0-1. */
  readonly fillOpacity?: number
}

interface PathNode extends Paint {
  readonly kind: 'path'
  readonly d: string
}

export interface CircleNode extends Paint {
  readonly kind: 'circle'
  readonly x: number
  readonly y: number
  readonly r: number
}

interface RectNode extends Paint {
  readonly kind: 'rect'
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** `x` is the left end and `y` the baseline. `halo`: colour of a rim that keeps the text legible on what lies beneath. */
export interface TextNode {
  readonly kind: 'text'
  readonly x: number
  readonly y: number
  readonly text: ShapedText
  readonly fill: string
  readonly halo?: string
}

/** Nodes drawn together. `label` tells a screen reader what they are; `clip` cuts them to a rectangle. */
export interface GroupNode {
  readonly kind: 'group'
  readonly label?: string
  readonly clip?: Box
  readonly nodes: readonly SceneNode[]
}

export type SceneNode = PathNode | CircleNode | RectNode | TextNode | GroupNode

export interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

export interface Scene {
  /** The sheet, in its own units: all coordinates lie within it. */
  readonly width: number
  readonly height: number
  /** Width asked for, in pixels; the height follows from the sheet. */
  readonly pixelWidth: number
  readonly title: string
  readonly description: string
  readonly nodes: readonly SceneNode[]
  /** Graphemes for which no shipped font has a glyph, sorted; each is drawn as a box. */
  readonly missingGlyphs: readonly string[]
  /** Where the picture comes from: embedded in every file. */
  readonly provenance: Readonly<Record<string, unknown>>
}

export function overlaps(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
}

export function contains(outer: Box, inner: Box): boolean {
  return (
    inner.x >= outer.x &&
    inner.y >= outer.y &&
    inner.x + inner.width <= outer.x + outer.width &&
    inner.y + inner.height <= outer.y + outer.height
  )
}
