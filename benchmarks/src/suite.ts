/** What a benchmark suite is: a world with known truth, and contenders that do the same work in it, one process a run. */
import type { Cost } from './cost.ts'

export interface Suite {
  /** `name` or `name:case`; all cases are chosen by `name`. */
  readonly name: string
  /** In words: the work, and what the figures mean. */
  readonly describes: string
  /** The first is ours, the others are named alternatives. */
  readonly contenders: readonly string[]
  /** Why a contender, or with undefined the whole suite, cannot run on this machine. */
  unavailable?(contender: string | undefined): string | undefined
  /** Starts what the contenders work on, in a process of its own or the runner's, so that its cost is not theirs. */
  openWorld(seed: number): Promise<World>
  /** Does the work once; called in a process of its own. `world` is what `openWorld` described. */
  run(contender: string, world: unknown): Promise<Work>
}

export interface World {
  /** What a contender is told; must survive JSON. */
  readonly description: unknown
  /** Command before that of the contender: `ip netns exec …`. */
  readonly prefix?: readonly string[]
  /** What the world saw of the work, in figures; they join those that the contender told. */
  figures?(work: Work): Promise<Figures>
  close(): Promise<void>
}

/** Names with their units, and values: speed without recall beside it does not count. */
export type Figures = Readonly<Record<string, number>>

export interface Work extends Cost {
  readonly figures: Figures
}

/** One run as recorded. */
export interface Run extends Work {
  readonly contender: string
  readonly seed: number
}
