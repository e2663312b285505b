/**
 * The fonts that ship: Inter for Latin, Greek and Cyrillic, Noto Sans JP, KR and SC for Han, kana and hangul. Their
 * packages are cut into slices by Unicode range (WOFF2, variable); a slice is unpacked when its first character is asked for.
 */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { Blob, Face, Font, Variation } from 'harfbuzzjs'
import decompress from 'woff2-encoder/decompress'

/** In the order in which a text without Han, kana and hangul asks them. */
export const families = ['inter', 'noto-sans-sc', 'noto-sans-jp', 'noto-sans-kr'] as const
export type Family = (typeof families)[number]

/** Outlines and advances are asked for in thousandths of an em, whatever the font's own units. */
export const EM = 1000

/** Inter draws finer forms above this size: its opsz axis ends at 32. */
const DISPLAY_SIZE_PX = 24

const require = createRequire(import.meta.url)

/** Which slice of a family holds which characters. */
const tables: Readonly<Record<Family, string>> = {
  inter: require.resolve('@fontsource-variable/inter/unicode.json'),
  'noto-sans-sc': require.resolve('@fontsource-variable/noto-sans-sc/unicode.json'),
  'noto-sans-jp': require.resolve('@fontsource-variable/noto-sans-jp/unicode.json'),
  'noto-sans-kr': require.resolve('@fontsource-variable/noto-sans-kr/unicode.json'),
}

interface Slice {
  readonly file: string
  /** Pairs of first and last code point. */
  readonly ranges: readonly (readonly [number, number])[]
}

const slices = new Map<Family, Promise<readonly Slice[]>>()
const faces = new Map<string, Promise<Face>>()
const fonts = new Map<string, Promise<Font>>()

/** The font whose slice holds the code point, if the family has it, at a weight of 100-900 and fit for a size. */
export async function fontFor(
  family: Family,
  codePoint: number,
  weight: number,
  sizePx: number,
): Promise<Font | undefined> {
  const table = await once(slices, family, () => readSlices(family))
  for (const { file, ranges } of table) {
    if (!ranges.some(([first, last]) => codePoint >= first && codePoint <= last)) continue
    const optical = family === 'inter' && sizePx >= DISPLAY_SIZE_PX ? 32 : 14
    const font = await once(fonts, `${file} ${weight} ${optical}`, async () => {
      const made = new Font(await once(faces, file, () => readFace(file)))
      made.setScale(EM, EM)
      made.setVariations([new Variation('wght', weight), new Variation('opsz', optical)])
      return made
    })
    if (font.nominalGlyph(codePoint) !== undefined) return font
  }
  return undefined
}

async function readSlices(family: Family): Promise<readonly Slice[]> {
  const tableFile = tables[family]
  const table = JSON.parse(await readFile(tableFile, 'utf8')) as Record<string, string>
  const axis = family === 'inter' ? 'opsz' : 'wght'
  return Object.entries(table).map(([key, ranges]) => ({
    file: join(dirname(tableFile), 'files', `${family}-${key.replace(/[[\]]/g, '')}-${axis}-normal.woff2`),
    ranges: ranges.split(',').map((range) => {
      const [first = '', last = first] = range.replace('U+', '').split('-')
      return [Number.parseInt(first, 16), Number.parseInt(last, 16)] as const
    }),
  }))
}

async function readFace(file: string): Promise<Face> {
  return new Face(new Blob(await decompress(await readFile(file))))
}

function once<K, V>(map: Map<K, Promise<V>>, key: K, make: () => Promise<V>): Promise<V> {
  let made = map.get(key)
  if (made === undefined) {
    made = make()
    map.set(key, made)
  }
  return made
}
