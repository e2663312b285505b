/** Ages, as retention is set. */
import { SwarmatlasError } from '@swarmatlas/core'

/** `90d`, `12w`, `36h`. Milliseconds. */
export function parseAge(name: string): (text: string) => number {
  return (text) => {
    const match = /^(\d+)(h|d|w)$/.exec(text.trim())
    const hours = { h: 1, d: 24, w: 168 }[match?.[2] ?? 'h'] as number
    if (match === null) {
      throw new SwarmatlasError('BAD_OPTION', `--${name}: "${text}" is no age`, { hint: 'for example 36h, 90d or 12w' })
    }
    return Number(match[1]) * hours * 3_600_000
  }
}
