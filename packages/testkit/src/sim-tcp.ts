/** TCP on the simulated network: opening connections. What flows over them stands in sim-stream.ts. */
import { type Endpoint, familyOf, type Tcp, type TcpStream } from '@swarmatlas/core'
import { type SimLink, systemError } from './sim-link.ts'
import { type SimStream, streamPair } from './sim-stream.ts'

type Accept = (stream: SimStream, from: Endpoint) => void

/** Linux gives up on an unanswered SYN after six retransmits. */
const SYN_TIMEOUT_MS = 127_000

export function simTcp(link: SimLink): Tcp {
  return {
    connect(to, { localAddress, signal }) {
      return new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason)
        const address = link.source(familyOf(to.address), localAddress)
        const from = link.bind('tcp', { address, port: 0 }, 'connecting')
        link.count('connects', to)
        let near: SimStream | undefined
        let over = false

        function settle(error?: unknown) {
          if (over) return
          over = true
          signal.removeEventListener('abort', abort)
          timeout.cancel()
          if (error === undefined) return resolve(near as TcpStream)
          if (near === undefined) link.unbind('tcp', from)
          near?.on('error', () => {}).destroy()
          reject(error)
        }
        const abort = () => settle(signal.reason)
        signal.addEventListener('abort', abort, { once: true })
        const timeout = link.clock.timer(SYN_TIMEOUT_MS, () => settle(systemError('ETIMEDOUT', to.address)))

        link.carry(address, to.address, () => {
          if (over) return
          const accept = link.find('tcp', to)
          if (typeof accept !== 'function') {
            if (link.owned(to.address)) {
              link.carry(to.address, address, () => settle(systemError('ECONNREFUSED', to.address)))
            }
            return
          }
          const [dialled, accepted] = streamPair(link, address, to.address)
          near = dialled
          dialled.once('close', () => link.unbind('tcp', from))
          link.carry(to.address, address, () => settle())
          ;(accept as Accept)(accepted, from)
        })
      })
    },

    async listen({ address, port, onConnection }) {
      link.source(familyOf(address), address)
      const open = new Set<SimStream>()
      const accept: Accept = (stream, from) => {
        open.add(stream)
        stream.on('close', () => open.delete(stream))
        stream.on('error', () => {})
        onConnection(stream, from)
      }
      const local = link.bind('tcp', { address, port }, accept)
      let closed = false
      return {
        local,
        async close() {
          if (closed) return
          closed = true
          link.unbind('tcp', local)
          for (const stream of open) stream.destroy()
        },
      }
    },
  }
}
