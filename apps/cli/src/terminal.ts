/** The terminal: colour only where it is wanted, width, and text cut to columns (CJK characters take two). */
import { styleText } from 'node:util'
import stringWidth from 'string-width'

type Paint = (text: string) => string

export interface Style {
  readonly bold: Paint
  readonly dim: Paint
  readonly good: Paint
  readonly warn: Paint
  readonly bad: Paint
  readonly accent: Paint
}

const plain: Paint = (text) => text

/** Colours for a stream, or none when it is no terminal or NO_COLOR is set (no-color.org). */
export function styleFor(stream: { isTTY?: boolean }): Style {
  if (!stream.isTTY || process.env.NO_COLOR) {
    return { bold: plain, dim: plain, good: plain, warn: plain, bad: plain, accent: plain }
  }
  const paint =
    (format: Parameters<typeof styleText>[0]): Paint =>
    (text) =>
      styleText(format, text, { validateStream: false })
  return {
    bold: paint('bold'),
    dim: paint('dim'),
    good: paint('green'),
    warn: paint('yellow'),
    bad: paint('red'),
    accent: paint('cyan'),
  }
}

export function columnsOf(stream: { columns?: number }): number {
  // A terminal that does not know its size says 0.
  return Math.max(40, stream.columns || 80)
}

function width(text: string): number {
  return stringWidth(text)
}

/** Cuts after so many columns, with an ellipsis; never through a character made of several code points. */
export function cut(text: string, columns: number): string {
  return width(text) <= columns ? text : `${fitting(characters(text), columns - 1).join('')}…`
}

/** Cuts in the middle, where begin and end both tell: paths. */
export function cutMiddle(text: string, columns: number): string {
  if (width(text) <= columns) return text
  const all = characters(text)
  const end = fitting(all.toReversed(), Math.floor((columns - 1) / 2))
    .reverse()
    .join('')
  const begin = fitting(all, columns - 1 - width(end)).join('')
  return `${begin}…${end}`
}

/** Of the characters the first ones that fit into so many columns. */
function fitting(all: readonly string[], columns: number): string[] {
  let used = 0
  const end = all.findIndex((character) => {
    used += width(character)
    return used > columns
  })
  return end < 0 ? [...all] : all.slice(0, end)
}

/** As a reader counts them: a letter with its accents is one. */
function characters(text: string): string[] {
  return Array.from(new Intl.Segmenter().segment(text), ({ segment }) => segment)
}

export function padEnd(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - width(text)))
}

function padStart(text: string, columns: number): string {
  return ' '.repeat(Math.max(0, columns - width(text))) + text
}

export interface Column {
  readonly head: string
  readonly align?: 'right'
  /** A column that gives way when the line is too long, the last such first. */
  readonly shrinks?: boolean
  /** Cut in the middle: the end tells too. */
  readonly keepsEnd?: boolean
  /** The fewest columns it shrinks to. */
  readonly min?: number
}

/** A table of at most `columns` columns: cells are measured as a terminal shows them. A column without a value is left out. */
export function table(
  allColumns: readonly Column[],
  allRows: readonly (readonly string[])[],
  columns: number,
  style: Style,
): string[] {
  const filled = allColumns.map((_, i) => allRows.some((row) => row[i]))
  const spec = allColumns.filter((_, i) => filled[i])
  const rows = allRows.map((row) => row.filter((_, i) => filled[i]))
  const widths = spec.map((column, i) => Math.max(width(column.head), ...rows.map((row) => width(row[i] ?? ''))))
  let over = widths.reduce((sum, w) => sum + w, 0) + 2 * spec.length - columns
  for (const [i, column] of [...spec.entries()].reverse()) {
    if (over <= 0 || !column.shrinks) continue
    const shrunk = Math.max(column.min ?? 8, (widths[i] as number) - over)
    over -= (widths[i] as number) - shrunk
    widths[i] = shrunk
  }
  const line = (cells: readonly string[]) =>
    `  ${spec
      .map((column, i) => {
        const text = (column.keepsEnd ? cutMiddle : cut)(cells[i] ?? '', widths[i] as number)
        return column.align === 'right' ? padStart(text, widths[i] as number) : padEnd(text, widths[i] as number)
      })
      .join('  ')}`.trimEnd()
  return [style.dim(line(spec.map((column) => column.head))), ...rows.map(line)]
}

/** Words wrapped to a width, all lines indented; a word that is too long for a line is broken. */
export function wrap(text: string, columns: number, indent: string): string[] {
  const lines: string[] = []
  let line = indent
  for (const word of text.split(' ').flatMap((word) => broken(word, columns - indent.length))) {
    const next = line === indent ? line + word : `${line} ${word}`
    if (width(next) > columns && line !== indent) {
      lines.push(line)
      line = indent + word
    } else {
      line = next
    }
  }
  lines.push(line)
  return lines
}

function broken(word: string, columns: number): string[] {
  if (width(word) <= columns) return [word]
  const all = characters(word)
  const parts: string[] = []
  // A line takes one character at least, or this would not end.
  while (all.length > 0) parts.push(all.splice(0, Math.max(1, fitting(all, columns).length)).join(''))
  return parts
}
