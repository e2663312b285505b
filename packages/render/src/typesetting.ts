/** Lines of text set on the sheet. */
import { round2 } from './projection.ts'
import type { SceneNode, TextNode } from './scene.ts'
import { shapeText, type TextStyle } from './text-shaping.ts'

export interface LineStyle extends TextStyle {
  readonly fill: string
  /** Which part of the line stands at `x`; its start when undefined. */
  readonly anchor?: 'start' | 'middle' | 'end'
}

export async function line(text: string, x: number, y: number, style: LineStyle): Promise<TextNode> {
  const shaped = await shapeText(text, style)
  const shift = style.anchor === 'end' ? 1 : style.anchor === 'middle' ? 0.5 : 0
  return { kind: 'text', x: round2(x - shift * shaped.widthPx), y: round2(y), text: shaped, fill: style.fill }
}

/** A heading over a part of the picture: small, spaced capitals. */
export function heading(text: string, x: number, y: number, fill: string): Promise<TextNode> {
  return line(text.toUpperCase(), x, y, { sizePx: 12, weight: 600, tracking: 95, fill })
}

/** Sets a paragraph in at most `lines` lines; what does not fit ends in an ellipsis. */
export async function paragraph(
  text: string,
  x: number,
  y: number,
  { lines, leadingPx, ...style }: LineStyle & { maxWidthPx: number; lines: number; leadingPx: number },
): Promise<TextNode[]> {
  const nodes: TextNode[] = []
  let rest = text.split(' ')
  for (let row = 0; row < lines && rest.length > 0; row++) {
    const last = row === lines - 1
    const take = last ? rest.length : await fitting(rest, style)
    nodes.push(await line(rest.slice(0, take).join(' '), x, y + row * leadingPx, style))
    rest = rest.slice(take)
  }
  return nodes
}

/** How many words fit in one line, at least one. */
async function fitting(words: readonly string[], style: LineStyle & { maxWidthPx: number }): Promise<number> {
  const { maxWidthPx, ...free } = style
  const space = (await shapeText(' ', free)).widthPx
  let width = 0
  let take = 0
  for (const word of words) {
    width += (take === 0 ? 0 : space) + (await shapeText(word, free)).widthPx
    if (width > maxWidthPx && take > 0) break
    take++
  }
  return take
}

/** 19 993: groups of three with a thin space, as readers of all languages understand. */
export function grouped(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, '\u2009')
}

export function missingGlyphs(nodes: readonly SceneNode[]): string[] {
  const found = new Set<string>()
  const visit = (node: SceneNode): void => {
    if (node.kind === 'group') node.nodes.forEach(visit)
    else if (node.kind === 'text') for (const grapheme of node.text.missing) found.add(grapheme)
  }
  nodes.forEach(visit)
  return [...found].sort()
}
