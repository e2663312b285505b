/** What a piece of work costs this process. */

export interface Cost {
  /** Wall time of the work alone, without the start of the process, milliseconds. */
  readonly timeMs: number
  /** User and system time of the work, milliseconds. */
  readonly cpuMs: number
  /** Peak resident set of the whole process until then, bytes. */
  readonly peakRssBytes: number
}

/** Starts now; what it returns gives the cost so far. */
export function startMeasuring(): () => Cost {
  const cpuBefore = process.cpuUsage()
  const startedMs = performance.now()
  return () => {
    const timeMs = performance.now() - startedMs
    const { user, system } = process.cpuUsage(cpuBefore)
    return { timeMs, cpuMs: (user + system) / 1000, peakRssBytes: process.resourceUsage().maxRSS * 1024 }
  }
}
