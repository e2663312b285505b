declare module 'ut_pex' {
  import type { EventEmitter } from 'node:events'

  export default function utPex(): new (wire: {
    destroy(): void
  }) => EventEmitter & { onMessage(payload: Uint8Array): void }
}
