/** How many replies the system's receive buffer holds: more queries in flight than that lose replies (60-fold slower). */
import { limits } from '@swarmatlas/core'

export interface ReceiveBufferCheck {
  readonly askedBytes: number
  readonly grantedBytes: number
  /** Queries in flight that the buffer can take the replies of. */
  readonly window: number
  /** What to do about a small one, in words. */
  readonly problem?: string
}

export function checkReceiveBuffer(grantedBytes: number): ReceiveBufferCheck {
  const askedBytes = limits.udpReceiveBufferBytes
  const window = Math.min(Math.max(1, Math.floor(grantedBytes / limits.dhtReplyBufferBytes)), limits.dhtQueriesInFlight)
  const problem = `the system grants a receive buffer of ${grantedBytes} of ${askedBytes} bytes, which limits the DHT to ${window} queries in flight; raise net.core.rmem_max`
  return { askedBytes, grantedBytes, window, ...(grantedBytes < askedBytes && { problem }) }
}
