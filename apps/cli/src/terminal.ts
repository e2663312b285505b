/** The terminal: colour only where it is wanted, width, and text cut to columns (CJK characters take two). */
import { styleText } from 'node:util'
import stringWidth from 'string-width'

export type Paint = (text: string) => string

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
      styleText(format, text)
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
  return Math.max(40, stream.columns ?? 80)
}

export function width(text: string): number {
  return stringWidth(text)
}

/** Cuts after so many columns, with an ellipsis; never through a character made of several code points. */
export function cut(text: string, columns: number): string {
  if (width(text) <= columns) return text
  let kept = ''
  let used = 0
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    used += width(segment)
    if (used > columns - 1) break
    kept += segment
  }
  return `${kept}…`
}

export function padEnd(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - width(text)))
}

export function padStart(text: string, columns: number): string {
  return ' '.repeat(Math.max(0, columns - width(text))) + text
}

export interface Column {
  readonly head: string
  readonly align?: 'right'
  /** The column that gives way when the line is too long. */
  readonly shrinks?: boolean
  /** The fewest columns it shrinks to. */
  readonly min?: number
}

/** A table of at most `columns` columns: cells are measured as a terminal shows them. */
export function table(
  spec: readonly Column[],
  rows: readonly (readonly string[])[],
  columns: number,
  style: Style,
): string[] {
  const widths = spec.map((column, i) => Math.max(width(column.head), ...rows.map((row) => width(row[i] ?? ''))))
  let over = widths.reduce((sum, w) => sum + w, 0) + 2 * spec.length - columns
  for (const [i, column] of spec.entries()) {
    if (over <= 0 || !column.shrinks) continue
    const shrunk = Math.max(column.min ?? 8, (widths[i] as number) - over)
    over -= (widths[i] as number) - shrunk
    widths[i] = shrunk
  }
  const line = (cells: readonly string[]) =>
    `  ${spec
      .map((column, i) => {
        const text = cut(cells[i] ?? '', widths[i] as number)
        return column.align === 'right' ? padStart(text, widths[i] as number) : padEnd(text, widths[i] as number)
      })
      .join('  ')}`.trimEnd()
  return [style.dim(line(spec.map((column) => column.head))), ...rows.map(line)]
}

/** Words wrapped to a width, continued lines indented. */
export function wrap(text: string, columns: number, indent: string): string[] {
  const lines: string[] = []
  let line = indent
  for (const word of text.split(' ')) {
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
