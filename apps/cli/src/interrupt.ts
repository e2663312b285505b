/** Ctrl-C: once finishes and prints what is known, twice stops now. SIGTERM counts as once. */
import { exitCodes } from './exit-codes.ts'

export interface Interrupt extends Disposable {
  readonly signal: AbortSignal
  readonly interrupted: boolean
}

export function catchInterrupt(onFirst: () => void): Interrupt {
  const controller = new AbortController()
  const handle = () => {
    if (controller.signal.aborted) process.exit(exitCodes.interrupted)
    controller.abort(new Error('interrupted'))
    onFirst()
  }
  process.on('SIGINT', handle)
  process.on('SIGTERM', handle)
  return {
    signal: controller.signal,
    get interrupted() {
      return controller.signal.aborted
    },
    [Symbol.dispose]() {
      process.off('SIGINT', handle)
      process.off('SIGTERM', handle)
    },
  }
}
