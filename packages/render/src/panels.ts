/** What stands beneath the map: what was observed, the legend, and bars. */
import { type Channel, countryName, limits } from '@swarmatlas/core'
import type { Placed } from './places.ts'
import { round2 } from './projection.ts'
import type { SceneNode } from './scene.ts'
import { disc, ring, type SymbolScale } from './symbols.ts'
import type { Theme } from './theme.ts'
import { grouped, heading, line } from './typesetting.ts'

export interface Observed {
  /** Endpoints seen. */
  readonly peers: number
  readonly handshaken: number
  readonly seeds: number
  readonly leeches: number
  /** Of the peers: those without any place. */
  readonly unplaced: number
}

const BODY_PX = 13
const HEADING_TO_BODY = 25
const BODY_HEIGHT = 66

export async function observedPanel(observed: Observed, x: number, y: number, theme: Theme): Promise<SceneNode[]> {
  const rows: [number, string][] = [
    [observed.peers, 'peers: endpoints seen'],
    [observed.handshaken, 'handshaken: answered as a client'],
    [observed.seeds, `seeds, ${grouped(observed.leeches)} leeches`],
  ]
  const nodes: SceneNode[] = [await heading('Observed', x, y, theme.muted)]
  const numbers = await Promise.all(
    rows.map(([value], i) =>
      line(grouped(value), x, y + HEADING_TO_BODY + 4 + i * 27, { sizePx: 22, weight: 600, fill: theme.text }),
    ),
  )
  const words = x + Math.max(...numbers.map((node) => node.text.widthPx)) + 12
  for (const [i, [, text]] of rows.entries()) {
    nodes.push(await line(text, words, y + HEADING_TO_BODY + 3 + i * 27, { sizePx: 14, fill: theme.muted }))
  }
  return [...nodes, ...numbers]
}

/** Radius that a symbol of the legend may have. */
const LEGEND_RADIUS = 25

/** Symbols of round numbers, true to scale, of the kinds that the map has. */
export async function legendPanel(
  placed: Placed,
  scale: SymbolScale,
  x: number,
  y: number,
  theme: Theme,
): Promise<SceneNode[]> {
  const nodes: SceneNode[] = [await heading('Peers per symbol', x, y, theme.muted)]
  if (placed.symbols.length === 0)
    nodes.push(await line('no symbol', x, y + HEADING_TO_BODY, { sizePx: BODY_PX, fill: theme.muted }))
  const bottom = y + HEADING_TO_BODY + 41
  let left = x
  const put = async (peers: number, draw: typeof disc, caption: string): Promise<void> => {
    const r = scale.radius(peers)
    const text = await line(caption, 0, bottom + 20, { sizePx: BODY_PX, fill: theme.muted })
    const half = Math.max(r, text.text.widthPx / 2)
    nodes.push(draw(round2(left + half), round2(bottom - r), r, theme), {
      ...text,
      x: round2(left + half - text.text.widthPx / 2),
    })
    left += 2 * half + 22
  }
  const largest = (kind: 'city' | 'country') => placed.symbols.find((symbol) => symbol.kind === kind)?.peers
  const city = largest('city')
  for (const peers of legendSteps(city ?? 0, scale)) {
    if (peers >= limits.peersPerSymbol) await put(peers, disc, grouped(peers))
  }
  const country = largest('country')
  if (country !== undefined) {
    const peers = legendSteps(country, scale)[0] as number
    await put(peers, ring, `${grouped(peers)}, country only`)
  }
  return nodes
}

/** Round numbers up to a value, at most three, the largest first. */
export function legendSteps(largest: number, scale: SymbolScale): number[] {
  const steps: number[] = []
  for (let unit = 1; unit <= largest; unit *= 10) {
    for (const step of [unit, 2 * unit, 5 * unit]) {
      if (step <= largest && (steps.length === 0 || scale.radius(step) <= LEGEND_RADIUS)) steps.push(step)
    }
  }
  const top = steps.length - 1
  return [...new Set([top, top - 2, top - 4].filter((i) => i >= 0))].map((i) => steps[i] as number)
}

const CHANNEL_NAMES: Readonly<Record<Channel, string>> = {
  dht: 'DHT',
  tracker: 'trackers',
  pex: 'peer exchange',
  lsd: 'local network',
  inbound: 'dialled in',
  magnet: 'magnet link',
}

export interface ChannelCount {
  readonly channel: Channel
  readonly peers: number
}

export async function channelPanel(
  counts: readonly ChannelCount[],
  x: number,
  y: number,
  theme: Theme,
): Promise<SceneNode[]> {
  const seen = counts.filter(({ peers }) => peers > 0)
  const nodes: SceneNode[] = [await heading('By channel, some by several', x, y, theme.muted)]
  if (seen.length === 0) nodes.push(await line('none', x, y + HEADING_TO_BODY, { sizePx: BODY_PX, fill: theme.muted }))
  const rows = seen.map(({ channel, peers }) => ({ name: CHANNEL_NAMES[channel], peers }))
  const pitch = Math.min(19, BODY_HEIGHT / Math.max(rows.length, 1))
  return [
    ...nodes,
    ...(await bars(rows, x, y + HEADING_TO_BODY, { pitch, names: 112, longest: 130, colour: theme.channels, theme })),
  ]
}

const COUNTRY_ROWS = 5
const COUNTRY_COLUMNS = 2

export async function countryPanel(
  placed: Placed,
  x: number,
  y: number,
  width: number,
  theme: Theme,
): Promise<SceneNode[]> {
  const shown = placed.countries.slice(0, COUNTRY_ROWS * COUNTRY_COLUMNS)
  const all = placed.countries.length
  const title = all > shown.length ? `Most peers: ${shown.length} of ${all} countries` : 'Peers by country'
  const nodes: SceneNode[] = [await heading(title, x, y, theme.muted)]
  if (all === 0) nodes.push(await line('none placed', x, y + HEADING_TO_BODY, { sizePx: BODY_PX, fill: theme.muted }))
  const rows = shown.map(({ country, peers }) => ({ name: countryName(country), peers }))
  const most = rows[0]?.peers ?? 1
  for (let column = 0; column < COUNTRY_COLUMNS; column++) {
    const part = rows.slice(column * COUNTRY_ROWS, (column + 1) * COUNTRY_ROWS)
    const left = x + (column * width) / COUNTRY_COLUMNS
    const style = { pitch: 16, names: 150, longest: 130, colour: theme.peers, theme, most }
    nodes.push(...(await bars(part, left, y + HEADING_TO_BODY - 2, style)))
  }
  return nodes
}

interface BarStyle {
  readonly pitch: number
  /** Width of the column of names. */
  readonly names: number
  /** Length of the longest bar. */
  readonly longest: number
  readonly colour: string
  readonly theme: Theme
  /** The count that the longest bar stands for; the largest of the rows when undefined. */
  readonly most?: number
}

async function bars(
  rows: readonly { name: string; peers: number }[],
  x: number,
  y: number,
  style: BarStyle,
): Promise<SceneNode[]> {
  const { pitch, names, longest, colour, theme } = style
  const most = style.most ?? Math.max(...rows.map(({ peers }) => peers))
  const nodes: SceneNode[] = []
  for (const [i, { name, peers }] of rows.entries()) {
    const baseline = y + i * pitch
    const width = round2((longest * peers) / most)
    nodes.push(
      await line(name, x, baseline, { sizePx: BODY_PX, fill: theme.text, maxWidthPx: names - 10 }),
      {
        kind: 'rect',
        x: round2(x + names),
        y: round2(baseline - 9),
        width,
        height: 9,
        fill: colour,
        fillOpacity: 0.85,
      },
      await line(grouped(peers), x + names + width + 7, baseline, { sizePx: BODY_PX, fill: theme.muted }),
    )
  }
  return nodes
}
