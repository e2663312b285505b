/** A peer that listens: it says what it is and whom it knows, gives metadata, and never content. */
import type { Endpoint, Host, TcpStream } from '@swarmatlas/core'
import { bounds } from './bounds.ts'
import { type Closers, destroyAll } from './closers.ts'
import type { SimCounters } from './counters.ts'
import { type Persona, type PexEntry, runSession } from './peer-session.ts'

export interface ListeningPeer {
  readonly endpoint: Endpoint
  /** Gives it the peers that it names over PEX. */
  know(connected: readonly PexEntry[]): void
  /** Idempotent. */
  close(): Promise<void>
}

export interface ListeningPeerOptions {
  address: string
  silent: boolean
  persona: Omit<Persona, 'listenPort'>
}

export async function openPeer(
  { tcp, clock, counters, closers }: Pick<Host, 'tcp' | 'clock'> & { counters: SimCounters; closers: Closers },
  { address, silent, persona }: ListeningPeerOptions,
): Promise<ListeningPeer> {
  const streams = new Set<TcpStream>()
  let connected: readonly PexEntry[] = []
  const listener = await tcp.listen({
    address,
    port: 0,
    onConnection(stream, from) {
      stream.on('error', () => stream.destroy())
      if (streams.size >= bounds.peerConnections) {
        stream.destroy()
        return
      }
      streams.add(stream)
      counters.peerConnections++
      counters.peerConnectionsOpen++
      counters.peerConnectionsPeak = Math.max(counters.peerConnectionsPeak, counters.peerConnectionsOpen)
      stream.on('close', () => {
        streams.delete(stream)
        counters.peerConnectionsOpen--
      })
      stream.on('end', () => stream.destroy())
      if (silent) stream.resume()
      else
        runSession({ clock, counters }, { stream, from, persona: { ...persona, listenPort: endpoint.port }, connected })
    },
  })
  const endpoint = listener.local
  let closing: Promise<unknown> | undefined
  const close = async () => {
    closing ??= Promise.all([destroyAll(streams), listener.close()])
    await closing
  }
  closers.add(close)
  return {
    endpoint,
    know(entries) {
      connected = entries
    },
    close,
  }
}
