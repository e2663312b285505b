/** Quantities in words: sizes in powers of ten as the contract has it (GB = 10^9 bytes), durations, counts. */

export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  let value = count
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

/** Piece lengths are powers of two. */
export function binaryBytes(count: number): string {
  if (count % 2 ** 20 === 0) return `${count / 2 ** 20} MiB`
  if (count % 2 ** 10 === 0) return `${count / 2 ** 10} KiB`
  return `${count} B`
}

export function seconds(ms: number): string {
  if (ms < 9_950) return `${(ms / 1000).toFixed(ms < 995 ? 2 : 1)} s`
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`
}

export function minutes(seconds: number): string {
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`
}

export function number(n: number): string {
  return n.toLocaleString('en')
}

export function count(n: number, one: string, many: string = `${one}s`): string {
  return `${number(n)} ${n === 1 ? one : many}`
}

/** 2026-11-22 19:15 UTC. */
export function utc(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

/** The most frequent values with their counts, most frequent first, ties by name. */
export function tally(values: Iterable<string>): [value: string, count: number][] {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
}
