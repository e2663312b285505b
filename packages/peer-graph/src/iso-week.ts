/** ISO 8601 weeks in UTC: `2026-W47`. A week begins on Monday and belongs to the year of its Thursday. */

const dayMs = 86_400_000

export function isoWeek(ms: number): string {
  const day = Math.floor(ms / dayMs)
  // 1970-01-01 was a Thursday.
  const thursday = day - ((((day + 3) % 7) + 7) % 7) + 3
  const year = new Date(thursday * dayMs).getUTCFullYear()
  const week = Math.floor((thursday - Date.UTC(year, 0, 1) / dayMs) / 7) + 1
  return `${String(year).padStart(4, '0')}-W${String(week).padStart(2, '0')}`
}

/** The first millisecond after a week. */
export function weekEndMs(week: string): number {
  const [year = 0, number = 0] = week.split('-W').map(Number)
  // The fourth of January is always in week 1.
  const fourth = Date.UTC(year, 0, 4) / dayMs
  const monday = fourth - ((((fourth + 3) % 7) + 7) % 7)
  return (monday + 7 * number) * dayMs
}
