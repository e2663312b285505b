/** The world map of one swarm or several: where the observed peers are, as far as that is known. */
import { countryName, type GeoDatabase, limits, printable } from '@swarmatlas/core'
import { databaseLine, placeNotes, timeWindow } from './captions.ts'
import { placeLabels } from './labels.ts'
import { type ChannelCount, channelPanel, countryPanel, legendPanel, type Observed, observedPanel } from './panels.ts'
import { type CountedPlace, type Placed, placePeers } from './places.ts'
import { type BaseMap, europeBase, worldBase } from './projection.ts'
import { type Box, overlaps, type Scene, type SceneNode } from './scene.ts'
import { crowding, drawSymbol, type PlacedSymbol, putSymbols, type SymbolScale, symbolScale } from './symbols.ts'
import { type Theme, themes } from './theme.ts'
import { grouped, heading, line, missingGlyphs, paragraph } from './typesetting.ts'

export interface MapInput {
  /** The torrent's name, in any script, or words for several swarms. */
  readonly title: string
  readonly subtitle?: string
  /** The time in which was looked, Unix milliseconds. */
  readonly fromMs: number
  readonly toMs: number
  /** Peers by place, in any granularity: equal places are added up. */
  readonly points: readonly CountedPlace[]
  readonly observed: Observed
  readonly byChannel: readonly ChannelCount[]
  readonly database: GeoDatabase
  readonly vantage: string
  readonly version: string
  /** The places are made up. */
  readonly demo: boolean
  /** What the reader must know of how the numbers came about, a sentence each. */
  readonly notes: readonly string[]
}

export interface MapOptions {
  readonly theme?: 'light' | 'dark'
  /** Pixels; 1920 when undefined. The sheet is 16:9. */
  readonly width?: number
}

const SHEET = { width: 1920, height: 1080 } as const
const MARGIN = 56
const RIGHT: number = SHEET.width - MARGIN
const MAP: Box = { x: MARGIN, y: 162, width: RIGHT - MARGIN, height: 716 }
const INSET: Box = { x: MARGIN, y: 502, width: 352, height: 368 }
const PANELS_Y = 917
const FOOTER_Y = 1034
const LABELS = 34
/** Symbols of Europe that must touch another before it gets an inset. */
const INSET_CROWDING = 8
/** With more symbols than this, small rings go without a name. */
const CROWDED_SYMBOLS = 40
const NAMED_RING_RADIUS = 9

/** The same input gives the same scene. */
export async function worldMap(given: MapInput, options: MapOptions = {}): Promise<Scene> {
  const input = fitToShow(given)
  const theme = themes[options.theme ?? 'light']
  const placed = placePeers(input.points)
  const scale = symbolScale(placed.symbols[0]?.peers ?? 1)
  const nodes: SceneNode[] = [
    { kind: 'rect', x: 0, y: 0, ...SHEET, fill: theme.sheet },
    ...(await mapBody(input, placed, scale, theme)),
    ...(await headerOf(input, theme)),
    ...(await panelsOf(input, placed, scale, theme)),
  ]
  const missing = missingGlyphs(nodes)
  const notes = [...input.notes, ...placeNotes(placed, Math.max(placed.unplaced, input.observed.unplaced), input.demo)]
  if (missing.length > 0) notes.unshift('Characters for which no font ships are drawn as boxes.')
  nodes.push(...(await footerOf(input, notes, theme)))
  return {
    ...SHEET,
    pixelWidth: options.width ?? SHEET.width,
    title: input.title,
    description: `World map of ${input.observed.peers} peers, ${timeWindow(input.fromMs, input.toMs)}. ${notes.join(' ')}`,
    nodes,
    missingGlyphs: missing,
    provenance: {
      software: `swarmatlas ${input.version}`,
      title: input.title,
      from: new Date(input.fromMs).toISOString(),
      to: new Date(input.toMs).toISOString(),
      vantage: input.vantage,
      database: input.database,
      observed: input.observed,
      byChannel: input.byChannel,
      placed: {
        peers: placed.peers,
        countryOnly: placed.countryOnly,
        merged: placed.merged,
        countries: placed.countries.length,
      },
      demo: input.demo,
      notes,
    },
  }
}

/** Names come from the network, and all else that is text through someone's hands. */
function fitToShow(input: MapInput): MapInput {
  const clean = (text: string): string => printable(text, limits.nameChars)
  return {
    ...input,
    title: clean(input.title),
    ...(input.subtitle === undefined ? {} : { subtitle: clean(input.subtitle) }),
    vantage: clean(input.vantage),
    version: clean(input.version),
    database: { ...input.database, name: clean(input.database.name) },
    notes: input.notes.map(clean),
  }
}

async function mapBody(input: MapInput, placed: Placed, scale: SymbolScale, theme: Theme): Promise<SceneNode[]> {
  const world = await worldBase(MAP)
  const put = putSymbols(world, placed.symbols, scale, { keepAll: true })
  const inset = await insetFor(placed, put, scale)
  const taken = inset === undefined ? [] : [insetBox()]
  const inInset = new Set(inset?.put.map(({ symbol }) => symbol))
  const outside = put.filter(({ symbol }) => !inInset.has(symbol))
  const labels = await labelsFor(outside, put, MAP, taken, theme)
  const nodes: SceneNode[] = [
    ...landOf(world, theme),
    { kind: 'group', label: `${placed.peers} placed peers`, nodes: put.map((symbol) => drawSymbol(symbol, theme)) },
    { kind: 'group', label: 'names of places', nodes: labels },
  ]
  if (inset !== undefined) nodes.push(...(await drawInset(inset, theme)))
  if (placed.symbols.length === 0) nodes.push(...(await emptyMessage(input, theme)))
  return nodes
}

function isCity({ symbol }: PlacedSymbol): boolean {
  return symbol.kind === 'city'
}

function landOf(base: BaseMap, theme: Theme): SceneNode[] {
  return [
    { kind: 'path', d: base.sea, fill: theme.sea },
    { kind: 'path', d: base.land, fill: theme.land },
    { kind: 'path', d: base.borders, stroke: theme.border, strokeWidth: 0.7 },
  ]
}

interface Inset {
  readonly base: BaseMap
  readonly put: readonly PlacedSymbol[]
}

/** Europe once more, larger, with symbols of the same scale: when they crowd, and when nothing lies beneath. */
async function insetFor(
  placed: Placed,
  world: readonly PlacedSymbol[],
  scale: SymbolScale,
): Promise<Inset | undefined> {
  const base = await europeBase(INSET)
  const put = putSymbols(base, placed.symbols, scale, { keepAll: false })
  const here = new Set(put.map(({ symbol }) => symbol))
  if (crowding(world.filter(({ symbol }) => here.has(symbol))) < INSET_CROWDING) return undefined
  const box = insetBox()
  const hidden = world.some(({ x, y, r }) => overlaps(box, { x: x - r, y: y - r, width: 2 * r, height: 2 * r }))
  return hidden ? undefined : { base, put }
}

function insetBox(): Box {
  return { x: INSET.x, y: INSET.y - 26, width: INSET.width + 8, height: INSET.height + 26 }
}

async function drawInset({ base, put }: Inset, theme: Theme): Promise<SceneNode[]> {
  return [
    { kind: 'rect', ...INSET, fill: theme.sea },
    {
      kind: 'group',
      label: 'Europe',
      clip: INSET,
      nodes: [...landOf(base, theme), ...put.map((symbol) => drawSymbol(symbol, theme))],
    },
    {
      kind: 'group',
      label: 'names of places in Europe',
      nodes: await labelsFor(put.filter(isCity), put, INSET, [], theme),
    },
    { kind: 'rect', ...INSET, stroke: theme.rule, strokeWidth: 1 },
    await heading('Europe, same symbol scale', INSET.x, INSET.y - 10, theme.muted),
  ]
}

function labelsFor(
  labelled: readonly PlacedSymbol[],
  all: readonly PlacedSymbol[],
  frame: Box,
  taken: readonly Box[],
  theme: Theme,
) {
  const named = labelled.filter(
    (symbol) => isCity(symbol) || symbol.r >= NAMED_RING_RADIUS || all.length <= CROWDED_SYMBOLS,
  )
  return placeLabels(named, all, {
    frame,
    taken,
    most: LABELS,
    sizePx: 13,
    halo: theme.sheet,
    nameOf: ({ symbol }) => symbol.name ?? countryName(symbol.country),
    fillOf: (symbol) => (isCity(symbol) ? theme.text : theme.muted),
  })
}

async function emptyMessage({ observed }: MapInput, theme: Theme): Promise<SceneNode[]> {
  const x = SHEET.width / 2
  const y = MAP.y + MAP.height / 2
  const seen =
    observed.peers === 0
      ? 'No peer was seen in this time.'
      : `${grouped(observed.peers)} seen, none with a known country.`
  return [
    { kind: 'rect', x: x - 300, y: y - 62, width: 600, height: 108, fill: theme.sheet, fillOpacity: 0.9 },
    await line('No peer could be placed', x, y - 10, { sizePx: 30, weight: 600, fill: theme.text, anchor: 'middle' }),
    await line(seen, x, y + 22, { sizePx: 16, fill: theme.muted, anchor: 'middle' }),
  ]
}

async function headerOf(input: MapInput, theme: Theme): Promise<SceneNode[]> {
  const width = RIGHT - MARGIN
  const seenAt = `${timeWindow(input.fromMs, input.toMs)}  ·  seen from ${input.vantage}`
  const kicker = await heading('Swarmatlas  ·  where the peers are', MARGIN, 64, theme.muted)
  const nodes: SceneNode[] = [
    kicker,
    await line(seenAt, RIGHT, 64, { sizePx: 14, weight: 500, fill: theme.muted, anchor: 'end', maxWidthPx: width / 2 }),
    await line(input.title, MARGIN, 111, { sizePx: 38, weight: 600, fill: theme.text, maxWidthPx: width }),
  ]
  if (input.demo) {
    const x = kicker.x + kicker.text.widthPx + 18
    nodes.push(await heading('Demo: places are made up', x, 64, theme.warning))
  }
  if (input.subtitle !== undefined) {
    nodes.push(await line(input.subtitle, MARGIN, 142, { sizePx: 17, fill: theme.muted, maxWidthPx: width }))
  }
  return nodes
}

async function panelsOf(input: MapInput, placed: Placed, scale: SymbolScale, theme: Theme): Promise<SceneNode[]> {
  const rule = (y: number): SceneNode => ({
    kind: 'rect',
    x: MARGIN,
    y,
    width: RIGHT - MARGIN,
    height: 1,
    fill: theme.rule,
  })
  return [
    rule(PANELS_Y - 26),
    ...(await observedPanel(input.observed, MARGIN, PANELS_Y, theme)),
    ...(await legendPanel(placed, scale, 424, PANELS_Y, theme)),
    ...(await channelPanel(input.byChannel, 800, PANELS_Y, theme)),
    ...(await countryPanel(placed, 1168, PANELS_Y, RIGHT - 1168, theme)),
    rule(FOOTER_Y - 18),
  ]
}

async function footerOf(
  { database, version, demo }: MapInput,
  notes: readonly string[],
  theme: Theme,
): Promise<SceneNode[]> {
  const sizePx = 12.5
  const fill = theme.muted
  const leadingPx = 16
  const left = 1060
  const sources = [
    `swarmatlas ${version}  ·  Equal Earth projection  ·  Natural Earth`,
    databaseLine(database, demo),
    ...(database.attribution === null ? [] : [database.attribution]),
  ]
  const nodes: SceneNode[] = await paragraph(notes.join(' '), MARGIN, FOOTER_Y, {
    sizePx,
    fill,
    maxWidthPx: left,
    lines: 3,
    leadingPx,
  })
  for (const [i, text] of sources.entries()) {
    nodes.push(
      await line(text, RIGHT, FOOTER_Y + i * leadingPx, {
        sizePx,
        fill,
        anchor: 'end',
        maxWidthPx: RIGHT - MARGIN - left - 24,
      }),
    )
  }
  return nodes
}
