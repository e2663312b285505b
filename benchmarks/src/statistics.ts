/** Medians and spread of repeated runs. */

export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] as number
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2
}

export interface Summary {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** Undefined when no run told. */
export function summarise(values: readonly (number | null)[]): Summary | undefined {
  const told = values.filter((value) => value !== null)
  if (told.length === 0) return undefined
  return { median: median(told), min: Math.min(...told), max: Math.max(...told) }
}
