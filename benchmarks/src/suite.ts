/** What a benchmark suite is: a world with known truth, and contenders that do the same work in it, one process a run. */

export interface Suite {
  readonly name: string
  /** In words: the work, and what `quality` means. */
  readonly describes: string
  /** The first is ours, the others are named alternatives. */
  readonly contenders: readonly string[]
  /** Starts what the contenders work on, in the runner's process, so that its cost is not theirs. */
  openWorld(seed: number): Promise<World>
  /** Does the work once; called in a process of its own. `world` is what `openWorld` described. */
  run(contender: string, world: unknown, signal: AbortSignal): Promise<Work>
}

export interface World {
  /** What a contender is told; must survive JSON. */
  readonly description: unknown
  close(): Promise<void>
}

export interface Work {
  /** Wall time of the work alone, without the start of the process, milliseconds. */
  readonly timeMs: number
  /** Payload bytes on the wire, headers not included; null where the contender does not tell. */
  readonly bytesIn: number | null
  readonly bytesOut: number | null
  /** Shares from 0 to 1, such as recall: speed without them does not count. */
  readonly quality: Readonly<Record<string, number>>
}

/** One run as recorded: the work and what the process cost. */
export interface Run extends Work {
  readonly contender: string
  readonly seed: number
  /** User and system time of the work, milliseconds. */
  readonly cpuMs: number
  /** Peak resident set of the whole process, bytes. */
  readonly peakRssBytes: number
}
