/**
 * Text as outlines: no renderer ever chooses a font, so that all draw the same and widths are exact. Graphemes are given
 * fonts, neighbours in one font are shaped together by HarfBuzz. Right-to-left scripts have no font yet.
 */
import { printable } from '@swarmatlas/core'
import { Buffer, type Font, shape as shapeRun } from 'harfbuzzjs'
import { EM, type Family, families, fontFor } from './fonts.ts'

interface Glyph {
  /** Path data in thousandths of an em, y upwards. */
  readonly outline: string
  /** Thousandths of an em from the left end of the text. */
  readonly x: number
  readonly y: number
}

export interface ShapedText {
  /** The text itself, fit to be shown. */
  readonly label: string
  readonly sizePx: number
  readonly widthPx: number
  readonly glyphs: readonly Glyph[]
  /** Graphemes drawn as boxes. */
  readonly missing: readonly string[]
}

export interface TextStyle {
  readonly sizePx: number
  /** 100-900; 400 when undefined. */
  readonly weight?: number
  /** Extra space after each grapheme, in thousandths of an em. */
  readonly tracking?: number
  /** What is wider ends in an ellipsis. */
  readonly maxWidthPx?: number
}

/** What a sheet can show of one text at most; more is cut before any font is opened. */
const MAX_GRAPHEMES = 400

const BOX: string = 'M60 0H660V720H60ZM110 50V670H610V50Z'
const BOX_ADVANCE = 720

const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' })
interface Cluster {
  readonly text: string
  /** Undefined: no font has it. */
  readonly font: Font | undefined
}

interface Placed extends Cluster {
  readonly glyphs: readonly Glyph[]
  readonly advance: number
}

/** Never rejects for what the text holds: control characters become U+FFFD, unknown ones boxes. */
export async function shapeText(text: string, style: TextStyle): Promise<ShapedText> {
  const { sizePx, weight = 400, tracking = 0, maxWidthPx = Number.POSITIVE_INFINITY } = style
  const clean = printable(text).normalize('NFC')
  const all = Array.from(takeGraphemes(clean, MAX_GRAPHEMES + 1))
  const cut = all.length > MAX_GRAPHEMES
  const clusters = await chooseFonts(all.slice(0, MAX_GRAPHEMES), weight, sizePx)
  const maxWidth = (maxWidthPx / sizePx) * EM

  let placed = place(clusters, tracking)
  if (cut || widthOf(placed) > maxWidth) {
    const ellipsis = await chooseFonts(['…'], weight, sizePx)
    const room = maxWidth - widthOf(place(ellipsis, tracking))
    let keep = 0
    for (let width = 0; keep < placed.length; keep++) {
      width += (placed[keep] as Placed).advance
      if (width > room) break
    }
    while (keep > 0 && clusters[keep - 1]?.text === ' ') keep--
    placed = place([...clusters.slice(0, keep), ...ellipsis], tracking)
  }

  const glyphs: Glyph[] = []
  let pen = 0
  for (const cluster of placed) {
    for (const glyph of cluster.glyphs) glyphs.push({ ...glyph, x: round(pen + glyph.x) })
    pen += cluster.advance
  }
  return {
    label: placed.map((cluster) => cluster.text).join(''),
    sizePx,
    widthPx: (pen / EM) * sizePx,
    glyphs,
    missing: placed.filter((cluster) => cluster.font === undefined).map((cluster) => cluster.text),
  }
}

function* takeGraphemes(text: string, max: number): Generator<string> {
  let taken = 0
  for (const { segment } of segmenter.segment(text)) {
    yield segment
    if (++taken === max) return
  }
}

/**
 * Han unification: one code point looks different in Chinese, Japanese and Korean. A word with kana is Japanese, one with
 * hangul Korean; a word of Han alone follows the rest of the text when that language has all its characters, else it is
 * (simplified) Chinese.
 */
async function chooseFonts(graphemes: readonly string[], weight: number, sizePx: number): Promise<Cluster[]> {
  const fontIn = (family: Family, grapheme: string) => fontOfGrapheme(family, grapheme, weight, sizePx)
  const nearby = languagesOf(graphemes.join(''))
  const clusters: Cluster[] = []
  for (const word of words(graphemes)) {
    let preferred = languagesOf(word.join(''))[0]
    if (preferred === undefined && word.some((grapheme) => /\p{Script=Han}/u.test(grapheme))) {
      for (const family of nearby) {
        const known = await Promise.all(word.map((grapheme) => fontIn(family, grapheme)))
        if (preferred === undefined && known.every((font) => font !== undefined)) preferred = family
      }
    }
    const order = [...new Set<Family>(['inter', preferred ?? 'noto-sans-sc', ...families])]
    for (const text of word) {
      let font: Font | undefined
      for (const family of order) font ??= await fontIn(family, text)
      clusters.push({ text, font })
    }
  }
  return clusters
}

function languagesOf(text: string): Family[] {
  const found: Family[] = []
  if (/[\p{Script=Hiragana}\p{Script=Katakana}]/u.test(text)) found.push('noto-sans-jp')
  if (/\p{Script=Hangul}/u.test(text)) found.push('noto-sans-kr')
  return found
}

/** Runs of letters, each other grapheme on its own. */
function words(graphemes: readonly string[]): string[][] {
  const out: string[][] = []
  let open = false
  for (const grapheme of graphemes) {
    const letter = /^[\p{L}\p{N}]/u.test(grapheme)
    if (letter && open) out.at(-1)?.push(grapheme)
    else out.push([grapheme])
    open = letter
  }
  return out
}

async function fontOfGrapheme(family: Family, grapheme: string, weight: number, sizePx: number) {
  let font: Font | undefined
  for (const character of grapheme) {
    const codePoint = character.codePointAt(0) as number
    // Joiners and variation selectors draw nothing of their own.
    if (/\p{Default_Ignorable_Code_Point}/u.test(character)) continue
    if (font === undefined) font = await fontFor(family, codePoint, weight, sizePx)
    if (font?.nominalGlyph(codePoint) === undefined) return undefined
  }
  return font
}

/** Shapes runs of one font and gives each cluster its glyphs, relative to its own left end. */
function place(clusters: readonly Cluster[], tracking: number): Placed[] {
  const out: Placed[] = []
  for (let start = 0; start < clusters.length; ) {
    const { font } = clusters[start] as Cluster
    let end = start + 1
    while (end < clusters.length && clusters[end]?.font === font) end++
    const run = clusters.slice(start, end)
    if (font === undefined) {
      const glyphs = [{ outline: BOX, x: 0, y: 0 }]
      for (const cluster of run) out.push({ ...cluster, glyphs, advance: BOX_ADVANCE + tracking })
    } else {
      out.push(...placeRun(run, font, tracking))
    }
    start = end
  }
  return out
}

function placeRun(run: readonly Cluster[], font: Font, tracking: number): Placed[] {
  const buffer = new Buffer()
  buffer.addText(run.map((cluster) => cluster.text).join(''))
  buffer.guessSegmentProperties()
  shapeRun(font, buffer)
  const infos = buffer.getGlyphInfos()
  const positions = buffer.getGlyphPositions()

  const made = run.map((cluster) => ({ ...cluster, glyphs: [] as Glyph[], advance: 0 }))
  // Cluster numbers are UTF-16 offsets into the run.
  const ends: number[] = []
  for (const { text } of run) ends.push((ends.at(-1) ?? 0) + text.length)
  let at = 0
  for (const [i, info] of infos.entries()) {
    const position = positions[i]
    if (position === undefined) continue
    while (at < ends.length - 1 && info.cluster >= (ends[at] as number)) at++
    const cluster = made[at] as (typeof made)[number]
    const outline = outlineOf(font, info.codepoint)
    if (outline !== '') {
      cluster.glyphs.push({ outline, x: cluster.advance + position.xOffset, y: position.yOffset })
    }
    cluster.advance += position.xAdvance
  }
  for (const cluster of made) cluster.advance += tracking
  return made
}

const outlines = new WeakMap<Font, Map<number, string>>()

function outlineOf(font: Font, glyph: number): string {
  let known = outlines.get(font)
  if (known === undefined) {
    known = new Map()
    outlines.set(font, known)
  }
  let outline = known.get(glyph)
  if (outline === undefined) {
    outline = font
      .glyphToPath(glyph)
      .replace(/-?\d+\.\d+(?:e-?\d+)?/g, (number) => String(round(Number(number))))
      .replace(/,(?=-)/g, '')
    known.set(glyph, outline)
  }
  return outline
}

function widthOf(placed: readonly Placed[]): number {
  return placed.reduce((sum, cluster) => sum + cluster.advance, 0)
}

/** To a tenth of a thousandth of an em; never -0. */
function round(value: number): number {
  return Math.round(value * 10) / 10 || 0
}
