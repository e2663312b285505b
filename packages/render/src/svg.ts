/** The SVG painter. All text is outlines: each glyph once in <defs>, each text a group that carries its words for screen readers. */

import { EM } from './fonts.ts'
import type { GroupNode, Paint, Scene, SceneNode, TextNode } from './scene.ts'

/** Width of the rim about a label, in units of the sheet. */
const HALO = 3

/** The same scene gives the same text. Nothing in it is markup or script that the scene's words could have brought. */
export function toSvg(scene: Scene): string {
  const glyphs = new Map<string, string>()
  const clips: string[] = []
  const body = scene.nodes.map((node) => paint(node, glyphs, clips)).join('\n')
  const { width, height, pixelWidth } = scene
  const pixelHeight = Math.round((pixelWidth * height) / width)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${pixelWidth}" height="${pixelHeight}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escapeXml(scene.title)}</title>`,
    `<desc>${escapeXml(scene.description)}</desc>`,
    `<metadata>${escapeXml(JSON.stringify(scene.provenance))}</metadata>`,
    '<defs>',
    ...[...glyphs].map(([outline, id]) => `<path id="${id}" d="${outline}"/>`),
    ...clips,
    '</defs>',
    body,
    '</svg>',
    '',
  ].join('\n')
}

function paint(node: SceneNode, glyphs: Map<string, string>, clips: string[]): string {
  switch (node.kind) {
    case 'path':
      return `<path d="${node.d}"${style(node)}/>`
    case 'circle':
      return `<circle cx="${number(node.x)}" cy="${number(node.y)}" r="${number(node.r)}"${style(node)}/>`
    case 'rect': {
      const size = `width="${number(node.width)}" height="${number(node.height)}"`
      return `<rect x="${number(node.x)}" y="${number(node.y)}" ${size}${style(node)}/>`
    }
    case 'text':
      return paintText(node, glyphs)
    case 'group':
      return paintGroup(node, glyphs, clips)
  }
}

function paintGroup(node: GroupNode, glyphs: Map<string, string>, clips: string[]): string {
  let attributes = node.label === undefined ? '' : ` aria-label="${escapeXml(node.label)}"`
  if (node.clip !== undefined) {
    const id = `c${clips.length}`
    clips.push(`<clipPath id="${id}">${paint({ kind: 'rect', ...node.clip }, glyphs, clips)}</clipPath>`)
    attributes += ` clip-path="url(#${id})"`
  }
  return `<g${attributes}>\n${node.nodes.map((child) => paint(child, glyphs, clips)).join('\n')}\n</g>`
}

function paintText({ x, y, text, fill, halo }: TextNode, glyphs: Map<string, string>): string {
  const uses = text.glyphs
    .map(({ outline, x, y }) => {
      let id = glyphs.get(outline)
      if (id === undefined) {
        id = `g${glyphs.size}`
        glyphs.set(outline, id)
      }
      return `<use href="#${id}" x="${x}"${y === 0 ? '' : ` y="${y}"`}/>`
    })
    .join('')
  const scale = text.sizePx / EM
  const transform = `matrix(${scale} 0 0 ${-scale} ${number(x)} ${number(y)})`
  const rim =
    halo === undefined
      ? ''
      : `<g fill="none" stroke="${halo}" stroke-width="${number(HALO / scale)}" stroke-linejoin="round">${uses}</g>`
  return `<g role="img" aria-label="${escapeXml(text.label)}" fill="${fill}" transform="${transform}">${rim}${uses}</g>`
}

function style({ fill = 'none', stroke, strokeWidth, dash, fillOpacity }: Paint): string {
  let out = ` fill="${fill}"`
  if (stroke !== undefined) out += ` stroke="${stroke}"`
  if (strokeWidth !== undefined) out += ` stroke-width="${number(strokeWidth)}"`
  if (dash !== undefined) out += ` stroke-dasharray="${dash.map(number).join(' ')}"`
  if (fillOpacity !== undefined) out += ` fill-opacity="${number(fillOpacity)}"`
  return out
}

function number(value: number): string {
  return String(Math.round(value * 100) / 100 || 0)
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Text that XML 1.0 can hold, without markup. */
function escapeXml(text: string): string {
  return (
    text
      .replace(/[&<>"']/g, (character) => ENTITIES[character] as string)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: XML 1.0 forbids these
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu, '\ufffd')
  )
}
