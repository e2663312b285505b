/**
 * One port for the DHT and uTP: a gate whose UDP sockets are views of one socket per family, as peers expect it (BEP 5
 * and BEP 29 name one port for both). The first byte tells the two apart: KRPC is a bencoded dictionary, so a `d`; uTP
 * has its version, 1, in the low nibble and a type of 0-4 in the high one.
 */
import type { Endpoint, Family } from './endpoint.ts'
import { SwarmatlasError } from './errors.ts'
import type { Gate, GatedUdpOptions, GatedUdpSocket } from './gate.ts'
import type { LedgerChannel } from './ledger.ts'
import { limits } from './limits.ts'
import type { Meter } from './seams.ts'

export interface SharedUdpGate extends Gate {
  /**
   * Channel `dht` gets what looks like KRPC, `pex` what looks like uTP: one view of each per family. Its `port` must be
   * 0, undefined or the shared one, its `receiveBufferBytes` is not asked. Other channels get a socket of their own.
   */
  udp(options: GatedUdpOptions): Promise<GatedUdpSocket>
  /** Keeps the family's port ours until closed, whether or not anybody has a view of it. Rejects as `udp` does. */
  hold(family: Family): Promise<HeldPort>
}

export interface HeldPort {
  readonly local: Endpoint
  /** Idempotent. */
  close(): Promise<void>
}

export interface SharedUdpOptions {
  /** Of both families. 0 or undefined: the system chooses; the second family then takes the first one's port if it can. */
  port?: number | undefined
}

type Kind = 'dht' | 'pex'
type View = Pick<GatedUdpOptions, 'onMessage' | 'onError'>

interface Shared {
  readonly socket: Promise<GatedUdpSocket>
  readonly views: Map<Kind, View>
  users: number
}

export function shareUdp(
  { gate, meter }: { gate: Gate; meter: Meter },
  { port = 0 }: SharedUdpOptions = {},
): SharedUdpGate {
  const shared = new Map<Family, Shared>()
  let commonPort = port
  // One after the other, so that the second can be given the first one's port.
  let lastOpening: Promise<unknown> = Promise.resolve()

  async function open(family: Family, views: Shared['views'], after: Promise<unknown>): Promise<GatedUdpSocket> {
    await after.catch(() => {})
    const openAt = (at: number) =>
      gate.udp({
        family,
        port: at,
        receiveBufferBytes: limits.udpReceiveBufferBytes,
        channel: bookedTo,
        onMessage(bytes, from) {
          const kind = kindOf(bytes)
          const view = kind && views.get(kind)
          if (view !== undefined) view.onMessage(bytes, from)
          else meter.count(kind === undefined ? 'udp.dropped.unknown' : `udp.dropped.no-${kind}`)
        },
        onError(error) {
          for (const view of [...views.values()]) view.onError(error)
        },
      })
    // Only a port that nobody asked for may be another one.
    const socket = await (commonPort === port ? openAt(port) : openAt(commonPort).catch(() => openAt(0)))
    if (commonPort === 0) commonPort = socket.local.port
    return socket
  }

  /** Counts the caller among the socket's users until `close`. */
  function use(family: Family): { views: Shared['views']; socket: Promise<GatedUdpSocket>; close(): Promise<void> } {
    let entry = shared.get(family)
    if (entry === undefined) {
      const views: Shared['views'] = new Map()
      entry = { socket: open(family, views, lastOpening), views, users: 0 }
      lastOpening = entry.socket
      shared.set(family, entry)
    }
    const used = entry
    used.users++
    let closed: Promise<void> | undefined
    async function release(): Promise<void> {
      if (--used.users > 0) return
      shared.delete(family)
      if (shared.size === 0) commonPort = port
      const socket = await used.socket.catch(() => undefined)
      await socket?.close()
    }
    return {
      views: used.views,
      // Whoever cannot have the socket is no user of it.
      socket: used.socket.catch(async (error) => {
        await release()
        throw error
      }),
      close() {
        closed ??= release()
        return closed
      },
    }
  }

  return {
    ...gate,

    async udp(options) {
      const { family, channel, onMessage, onError, port: wanted = 0 } = options
      if (channel !== 'dht' && channel !== 'pex') return gate.udp(options)
      if (wanted !== 0 && wanted !== commonPort) {
        throw new SwarmatlasError('BAD_OPTION', `port ${wanted}: the shared one is ${commonPort}`)
      }
      if (shared.get(family)?.views.has(channel)) {
        throw new SwarmatlasError('BAD_OPTION', `a second '${channel}' view of the IPv${family} port`)
      }
      const { views, socket: opening, close } = use(family)
      views.set(channel, { onMessage, onError })
      const socket = await opening.catch((error) => {
        views.delete(channel)
        throw error
      })
      let open = true
      return {
        local: socket.local,
        receiveBufferBytes: socket.receiveBufferBytes,
        send: (bytes, to, purpose) => (open ? socket.send(bytes, to, purpose) : undefined),
        close() {
          if (open) views.delete(channel)
          open = false
          return close()
        },
      }
    },

    async hold(family) {
      const { socket, close } = use(family)
      return { local: (await socket).local, close }
    },
  }
}

function kindOf(bytes: Uint8Array): Kind | undefined {
  const [first] = bytes
  if (first === undefined) return undefined
  if (first === 0x64) return 'dht'
  return (first & 0x0f) === 1 && first >> 4 <= 4 ? 'pex' : undefined
}

/** Noise is booked to the DHT, which is what draws it. */
function bookedTo(bytes: Uint8Array): LedgerChannel {
  return kindOf(bytes) ?? 'dht'
}
