/** Misuse and broken invariants. What the network does wrong is data (see visit.ts), never one of these. docs/errors.md says what to do about each. */

export type ErrorCode =
  | 'ABORTED'
  | 'BAD_OPTION'
  | 'BAD_TARGET'
  | 'BAD_TORRENT_FILE'
  | 'NO_NETWORK'
  | 'STORE_CORRUPT'
  | 'STORE_FULL'
  | 'STORE_LOCKED'
  | 'STORE_NOT_FOUND'
  | 'STORE_SCHEMA'
  | 'WRITE_FAILED'

export class SwarmatlasError extends Error {
  override readonly name = 'SwarmatlasError'
  readonly code: ErrorCode
  /** What the user can do about it; printed on a line of its own. */
  readonly hint: string | undefined

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; hint?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = options.hint
  }
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The system's code of an error (`ECONNREFUSED`, `LEVEL_LOCKED`), or undefined. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : undefined
}
