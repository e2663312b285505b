/** Exit codes: what scripts rely on. */
import type { ErrorCode, SwarmatlasError } from '@swarmatlas/core'

export const exitCodes = {
  done: 0,
  nothingFound: 1,
  usage: 2,
  network: 3,
  store: 4,
  interrupted: 130,
} as const

const BY_ERROR: Record<ErrorCode, number> = {
  ABORTED: exitCodes.interrupted,
  BAD_OPTION: exitCodes.usage,
  BAD_TARGET: exitCodes.usage,
  BAD_TORRENT_FILE: exitCodes.usage,
  NO_NETWORK: exitCodes.network,
  STORE_CORRUPT: exitCodes.store,
  STORE_FULL: exitCodes.store,
  STORE_LOCKED: exitCodes.store,
  STORE_NOT_FOUND: exitCodes.store,
  STORE_SCHEMA: exitCodes.store,
  WRITE_FAILED: exitCodes.store,
}

export function exitCodeOf(error: SwarmatlasError): number {
  return BY_ERROR[error.code]
}
