import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { shapeText } from '../src/text-shaping.ts'

const style = { sizePx: 20 }
const outlines = async (text: string) => (await shapeText(text, style)).glyphs.map((glyph) => glyph.outline)

describe('shaping', () => {
  it.each([
    ['Latin', 'Ångström – “naïve” Łódź'],
    ['Vietnamese', 'Thành phố Hồ Chí Minh'],
    ['Greek', 'Κοινά αγαθά'],
    ['Cyrillic', 'Москва, Київ'],
    ['simplified Chinese', '公共领域影像'],
    ['traditional Chinese', '臺灣電影'],
    ['Japanese', 'みんなの映像「カナ」'],
    ['Korean', '공공의 영화'],
  ])('has every glyph of %s', async (_, text) => {
    const shaped = await shapeText(text, style)
    expect(shaped.missing).toEqual([])
    expect(shaped.glyphs.length).toBeGreaterThanOrEqual([...text.replace(/\s/g, '')].length)
    expect(shaped.widthPx).toBeGreaterThan(5 * [...text].length)
  })

  it('kerns: AV is narrower than A and V', async () => {
    const [pair, a, v] = await Promise.all(['AV', 'A', 'V'].map((text) => shapeText(text, style)))
    expect(pair?.widthPx).toBeLessThan((a?.widthPx ?? 0) + (v?.widthPx ?? 0))
  })

  it('draws Han as the language beside it writes it, word by word', async () => {
    const [alone] = await outlines('直')
    const japanese = await outlines('直します')
    const korean = await outlines('공공 直')
    const mixed = await outlines('直领 みんな 直す')
    expect(japanese[0]).not.toBe(alone)
    expect(korean[2]).not.toBe(alone)
    // 领 is simplified Chinese only: that whole word is Chinese, the last one Japanese.
    expect(mixed[0]).toBe(alone)
    expect(mixed[5]).toBe(japanese[0])
  })

  it('draws a box for what it has no glyph for, and says so', async () => {
    const shaped = await shapeText('aشb🌍', style)
    expect(shaped.missing).toEqual(['ش', '🌍'])
    expect(shaped.glyphs).toHaveLength(4)
  })

  it('ends what is too wide, or too long for any sheet, in an ellipsis', async () => {
    const shaped = await shapeText('word '.repeat(1_000), { ...style, maxWidthPx: 200 })
    expect(shaped.label).toMatch(/^word.*\w…$/)
    expect(shaped.widthPx).toBeLessThanOrEqual(200)
    expect((await shapeText('x'.repeat(5_000), style)).label).toHaveLength(401)
  })

  it('is empty for nothing', async () => {
    expect(await shapeText('', style)).toMatchObject({ widthPx: 0, glyphs: [], missing: [] })
  })

  it('rejects no text and stays within the width asked for', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'binary', maxLength: 30 }),
        fc.integer({ min: 30, max: 300 }),
        async (text, width) => {
          const shaped = await shapeText(text, { sizePx: 14, maxWidthPx: width })
          expect(shaped.widthPx).toBeLessThanOrEqual(width)
          for (const { x, y } of shaped.glyphs) expect(Number.isFinite(x) && Number.isFinite(y)).toBe(true)
        },
      ),
      { numRuns: 60 },
    )
  })
})
