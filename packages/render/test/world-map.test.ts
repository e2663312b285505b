import { crc32, inflateSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from 'vitest'
import { type MapInput, type MapOptions, type Scene, toPng, toSvg, worldMap } from '../src/index.ts'
import { legendSteps } from '../src/panels.ts'
import { placePeers } from '../src/places.ts'
import { type Box, type CircleNode, overlaps, type SceneNode, type TextNode } from '../src/scene.ts'
import { symbolScale } from '../src/symbols.ts'
import { city, countryOnly, mapInput, scattered } from './fixture.ts'

function* walk(nodes: readonly SceneNode[]): Generator<SceneNode> {
  for (const node of nodes) {
    yield node
    if (node.kind === 'group') yield* walk(node.nodes)
  }
}

const texts = (scene: Scene) => [...walk(scene.nodes)].filter((node): node is TextNode => node.kind === 'text')
const words = (scene: Scene) => texts(scene).map((node) => node.text.label)

function group(scene: Scene, label: RegExp): readonly SceneNode[] {
  return scene.nodes.flatMap((node) => (node.kind === 'group' && label.test(node.label ?? '') ? node.nodes : []))
}

const symbols = (scene: Scene) => group(scene, /placed peers/) as readonly CircleNode[]

function boxOf({ x, y, text }: TextNode): Box {
  return { x, y: y - 0.75 * text.sizePx, width: text.widthPx, height: 0.75 * text.sizePx }
}

/** Where people are, so that Europe crowds. */
const europe = Array.from({ length: 60 }, (_, i) =>
  city(i % 2 === 0 ? 'DE' : 'FR', `Town ${i}`, 44 + (i % 8) * 1.3, (i % 11) * 1.2, 5 + i * 3),
)

const cases: [string, MapInput, MapOptions?][] = [
  ['no peers', mapInput([])],
  ['one peer', mapInput([city('JP', 'Tokyo', 35.7, 139.7, 1)])],
  ['all country-only', mapInput([countryOnly('US', 40), countryOnly('DE', 3), countryOnly('SG', 1)])],
  ['a crowded Europe', mapInput([...europe, countryOnly('DE', 600)], { subtitle: 'One round' }), { theme: 'dark' }],
  ['20,000 points', mapInput(scattered(20_000))],
  [
    'the ends of the world',
    mapInput([countryOnly('AQ', 900), countryOnly('FJ', 900), countryOnly('UM', 900), countryOnly('SJ', 900)]),
  ],
]

describe.each(cases)('a map of %s', (_, input, options) => {
  let scene: Scene
  beforeAll(async () => {
    scene = await worldMap(input, options)
  })

  it('keeps everything on the sheet', () => {
    for (const node of walk(scene.nodes)) {
      if (node.kind === 'circle' && !symbols(scene).includes(node)) continue
      const box =
        node.kind === 'text'
          ? boxOf(node)
          : node.kind === 'rect'
            ? node
            : node.kind === 'circle'
              ? { x: node.x - node.r, y: node.y - node.r, width: 2 * node.r, height: 2 * node.r }
              : undefined
      if (box === undefined) continue
      expect(box.x, JSON.stringify(box)).toBeGreaterThanOrEqual(0)
      expect(box.y).toBeGreaterThanOrEqual(0)
      expect(box.x + box.width).toBeLessThanOrEqual(scene.width)
      expect(box.y + box.height).toBeLessThanOrEqual(scene.height)
    }
  })

  it('lays no text over another', () => {
    const boxes = texts(scene).map((node) => ({ label: node.text.label, ...boxOf(node) }))
    const clashes = boxes.flatMap((a, i) =>
      boxes
        .slice(i + 1)
        .filter((b) => overlaps(a, b))
        .map((b) => [a.label, b.label]),
    )
    expect(clashes).toEqual([])
  })

  it('draws areas in proportion, which add up to all placed peers, the largest first', () => {
    const drawn = symbols(scene)
    const radii = drawn.map(({ r }) => r)
    expect(radii).toEqual([...radii].sort((a, b) => b - a))
    const peers = input.observed.peers
    if (peers === 0) expect(drawn).toEqual([])
    else {
      const area = radii.reduce((sum, r) => sum + r * r, 0)
      const single = symbolScale(1).radius(1)
      const one = Math.min(single * single, (34 * 34) / (placePeers(input.points).symbols[0]?.peers ?? 1))
      expect(area / one / peers).toBeCloseTo(1, 1)
    }
  })
})

describe('what the map says', () => {
  it('tells that no peer could be placed, and how many were seen', async () => {
    expect(words(await worldMap(mapInput([])))).toContain('No peer could be placed')
    const unplaced = await worldMap(mapInput([{ place: null, count: 12 }]))
    expect(words(unplaced)).toContain('12 seen, none with a known country.')
    expect(words(unplaced).join(' ')).toContain('12 peers have no place and no symbol.')
  })

  it('names the large places, the database and its date, the attribution, the vantage and the time', async () => {
    const said = words(await worldMap(mapInput([city('JP', 'Tokyo', 35.7, 139.7, 9), countryOnly('BR', 4)]))).join('\n')
    for (const part of [
      'Tokyo',
      'Brazil',
      'GeoLite2, built 2026-11-01',
      'created by MaxMind',
      'seen from home',
      '2026-11-22 18:00 – 20:00 UTC',
      'One pass: no estimate of completeness.',
      'at least 5',
      'A dashed ring stands for a whole country',
    ]) {
      expect(said).toContain(part)
    }
  })

  it('says that a demo is one', async () => {
    const said = words(await worldMap(mapInput([countryOnly('BR', 4)], { demo: true }))).join('\n')
    expect(said).toContain('DEMO')
    expect(said).toContain('Synthetic demo')
  })

  it('draws Europe again when it is crowded, at the same scale', async () => {
    const scene = await worldMap(mapInput(europe))
    const inset = group(scene, /^Europe$/).filter((node): node is CircleNode => node.kind === 'circle')
    const radii = new Set(symbols(scene).map(({ r }) => r))
    expect(inset.length).toBeGreaterThan(20)
    for (const { r } of inset) expect(radii).toContain(r)
  })

  it('gives the inset up where it would hide a peer', async () => {
    const scene = await worldMap(mapInput([...europe, countryOnly('PF', 1)]))
    expect(group(scene, /^Europe$/)).toEqual([])
  })

  it('has a legend of round numbers that the map reaches', () => {
    expect(legendSteps(1, symbolScale(1))).toEqual([1])
    expect(legendSteps(7, symbolScale(7))).toEqual([5, 1])
    for (const largest of [30, 999, 12_345]) {
      for (const step of legendSteps(largest, symbolScale(largest))) {
        expect(step).toBeLessThanOrEqual(largest)
        expect(String(step)).toMatch(/^[125]0*$/)
      }
    }
  })
})

describe('painted', () => {
  const input = mapInput([city('JP', 'Tokyo', 35.7, 139.7, 9), countryOnly('BR', 4)])

  it('is the same bytes twice', async () => {
    const [first, second] = [await worldMap(input), await worldMap(input)]
    expect(toSvg(first) === toSvg(second)).toBe(true)
    expect(Buffer.compare(await toPng(first), await toPng(second))).toBe(0)
  })

  it('needs no font: all text is outlines with their words beside', async () => {
    const svg = toSvg(await worldMap(input))
    expect(/<text|<tspan|font-family/.test(svg)).toBe(false)
    const labels = [...svg.matchAll(/aria-label="([^"]*)"/g)].map((match) => match[1])
    expect(labels).toEqual(expect.arrayContaining(['Tokyo', 'The Commons', 'Brazil']))
  })

  it('makes hostile names inert', async () => {
    const hostile = `</title></g><script>alert(1)</script>" onload='x' &amp; ]]> \u0000\u001b[2J\u202e\ud800${'A'.repeat(5_000)}`
    const scene = await worldMap(
      mapInput([city('JP', hostile, 35.7, 139.7, 9)], {
        title: hostile,
        subtitle: hostile,
        vantage: hostile,
        notes: [hostile],
      }),
    )
    const svg = toSvg(scene)
    expect(/<script|<\/title><\/g|onload='/i.test(svg)).toBe(false)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
    expect(/[\u0000-\u0008\u000b-\u001f\u202e]/.test(svg)).toBe(false)
    expect(svg.match(/<title>/g)).toHaveLength(1)
    // Attributes stay closed: what is left when all tags are taken away holds no angle bracket.
    expect(/[<>]/.test(svg.replace(/<[^<>]*>/g, ''))).toBe(false)
    expect(words(scene).filter((word) => word.endsWith('…')).length).toBeGreaterThanOrEqual(3)
    expect((await toPng(scene)).length).toBeGreaterThan(10_000)
  })

  it('reports what it has no glyph for', async () => {
    const scene = await worldMap(mapInput([], { title: 'أفلام 🌍' }))
    expect(scene.missingGlyphs).toEqual(expect.arrayContaining(['🌍', 'ف']))
    expect(words(scene).join(' ')).toContain('drawn as boxes')
  })

  it('carries where it comes from, in SVG and PNG', async () => {
    const scene = await worldMap({ ...input, title: '公共领域 & co' }, { width: 640 })
    const expected = {
      software: 'swarmatlas 1.2.3',
      title: '公共领域 & co',
      from: '2026-11-22T18:00:00.000Z',
      vantage: 'home',
      database: { name: 'GeoLite2', built: '2026-11-01' },
      observed: { peers: 13 },
      placed: { peers: 13, countryOnly: 4 },
    }
    const metadata = /<metadata>(.*)<\/metadata>/.exec(toSvg(scene))?.[1] ?? ''
    expect(JSON.parse(metadata.replace(/&quot;/g, '"').replace(/&amp;/g, '&'))).toMatchObject(expected)
    const chunks = chunksOf(await toPng(scene, { scale: 0.5 }))
    const [keyword, text] =
      chunks
        .find(({ type }) => type === 'tEXt')
        ?.data.toString('latin1')
        .split('\0') ?? []
    expect(keyword).toBe('swarmatlas')
    expect(JSON.parse(text ?? '')).toMatchObject(expected)
    const header = chunks[0]?.data
    expect([header?.readUInt32BE(0), header?.readUInt32BE(4)]).toEqual([320, 180])
    const pixels = inflateSync(Buffer.concat(chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data)))
    expect(pixels.length).toBe(180 * (320 * 4 + 1))
  })
})

/** The chunks of a PNG, each with its CRC checked. */
function chunksOf(png: Uint8Array): { type: string; data: Buffer }[] {
  const bytes = Buffer.from(png)
  const chunks: { type: string; data: Buffer }[] = []
  for (let at = 8; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at)
    const body = bytes.subarray(at + 4, at + 8 + length)
    expect(bytes.readUInt32BE(at + 8 + length)).toBe(crc32(body))
    chunks.push({ type: body.toString('latin1', 0, 4), data: body.subarray(4) })
    at += 12 + length
  }
  return chunks
}
