/** The leak check: whatever opens a socket, timer or process must close it again. */
import { createHook } from 'node:async_hooks'

/** Real milliseconds that closing things get to be gone. */
const SETTLE_MS = 1_000
const POLL_MS = 10
/** What keeps a process alive, as async_hooks and process.getActiveResourcesInfo call it. */
const KINDS = /^(Timeout|UDPWRAP|TCPWRAP|TCPSERVERWRAP|PIPEWRAP|PIPESERVERWRAP|PROCESSWRAP|FSEVENTWRAP|WORKER)$/

// The real one, also when the check ends under virtual time.
const { setTimeout } = globalThis

/**
 * Watches what is opened from now on, and throws when disposed, naming what was left and who opened it:
 * `await using _ = leakCheck()` as the first line of a test. What is unreferenced is not a leak.
 */
export function leakCheck(): AsyncDisposable {
  const opened = new Map<number, { kind: string; resource: { hasRef?(): boolean }; stack: string }>()
  const hook = createHook({
    init(id, kind, _trigger, resource) {
      if (!KINDS.test(kind)) return
      opened.set(id, { kind, resource, stack: new Error().stack ?? '' })
    },
    destroy(id) {
      opened.delete(id)
    },
  }).enable()

  const left = () => [...opened.values()].filter(({ resource }) => resource.hasRef?.() !== false)
  return {
    async [Symbol.asyncDispose]() {
      for (let waitedMs = 0; waitedMs <= SETTLE_MS && left().length > 0; waitedMs += POLL_MS) {
        // Unreferenced, so that it is no leak itself.
        await new Promise((wake) => setTimeout(wake, POLL_MS).unref())
      }
      hook.disable()
      if (left().length === 0) return
      throw new Error(
        `left behind:\n${left()
          .map(({ kind, stack }) => `${kind}, opened\n${callers(stack)}`)
          .join('\n')}`,
      )
    },
  }
}

/** The frames of a stack without Node's own, unless there are no others. */
function callers(stack: string): string {
  const frames = stack.split('\n').slice(2)
  const outside = frames.filter((frame) => !frame.includes('node:'))
  return (outside.length > 0 ? outside : frames).join('\n')
}
