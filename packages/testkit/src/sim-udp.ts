/** UDP on the simulated network. */
import { type Endpoint, familyOf, type Udp } from '@swarmatlas/core'
import { type SimLink, systemError } from './sim-link.ts'

type Receive = (bytes: Uint8Array, from: Endpoint) => void

/** What Linux grants who asks for nothing. */
const DEFAULT_RECEIVE_BUFFER_BYTES = 212_992

export function simUdp(link: SimLink): Udp {
  return {
    async open({ family, address, port = 0, receiveBufferBytes, onMessage, onError }) {
      const source = link.source(family, address)
      let open = true
      const receive: Receive = (bytes, from) => onMessage(bytes, from)
      const wildcard = family === 4 ? '0.0.0.0' : '::'
      const local = link.bind('udp', { address: address ?? wildcard, port }, receive)
      return {
        local,
        receiveBufferBytes: receiveBufferBytes ?? DEFAULT_RECEIVE_BUFFER_BYTES,
        send(bytes, to) {
          if (!open) return
          if (familyOf(to.address) !== family) {
            queueMicrotask(() => open && onError(systemError('EINVAL', `IPv${family} socket, ${to.address}`)))
            return
          }
          link.count('datagrams', to)
          link.countBytes(to.address, bytes.length)
          if (link.loses()) return
          // The caller may use its buffer again.
          const copy = Buffer.from(bytes)
          link.carry(source, to.address, () => {
            const receiver = link.find('udp', to) as Receive | undefined
            receiver?.(copy, { address: source, port: local.port })
          })
        },
        async close() {
          if (!open) return
          open = false
          link.unbind('udp', local)
        },
      }
    },
  }
}
