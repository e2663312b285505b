/** An in-memory world with a tracker over UDP that answers as told. */
import type { Endpoint, Host, UdpSocket } from '@swarmatlas/core'
import { createSimNetwork, type SimNetworkOptions, type VirtualTime, withVirtualTime } from '@swarmatlas/testkit'

export const TRACKER = '10.0.0.2'
export const US = '10.0.0.1'
export const TRACKER_URL = `udp://${TRACKER}:6969/announce`
export const PEERS4 = '01020304 1ae1 05060708 0001'.replaceAll(' ', '')

export interface Seen {
  action: number
  atMs: number
  packet: Buffer
}

export interface FakeTracker {
  readonly seen: Seen[]
  readonly socket: UdpSocket
}

/** Answers by the book unless `answer` gives something else; `null` is silence. */
export async function fakeTracker(
  host: Host,
  {
    address = TRACKER,
    port = 6969,
    peers = PEERS4,
    answer,
  }: {
    address?: string
    port?: number
    peers?: string
    answer?: (
      request: { action: number; count: number; packet: Buffer },
      from: Endpoint,
    ) => Uint8Array | null | undefined
  } = {},
): Promise<FakeTracker> {
  const seen: Seen[] = []
  const socket: UdpSocket = await host.udp.open({
    family: address.includes(':') ? 6 : 4,
    address,
    port,
    onError() {},
    onMessage(bytes, from) {
      const packet = Buffer.from(bytes)
      const action = packet.readUInt32BE(8)
      seen.push({ action, atMs: host.clock.monotonic(), packet })
      const count = seen.filter((request) => request.action === action).length
      const special = answer?.({ action, count, packet }, from)
      const reply = special === undefined ? byTheBook(packet, peers) : special
      if (reply !== null) socket.send(reply, from)
    },
  })
  return { seen, socket }
}

export function byTheBook(packet: Buffer, peers: string): Buffer {
  const action = packet.readUInt32BE(8)
  const head = Buffer.concat([packet.subarray(8, 12), packet.subarray(12, 16)])
  if (action === 0) return Buffer.concat([head, Buffer.from('c0ffee00c0ffee00', 'hex')])
  if (action === 1) return Buffer.concat([head, Buffer.from(`000007080000000300000002${peers}`, 'hex')])
  const hashes = (packet.length - 16) / 20
  return Buffer.concat([head, ...Array.from({ length: hashes }, () => Buffer.from('000000050000000600000007', 'hex'))])
}

export function error(packet: Buffer, text: string): Buffer {
  return Buffer.concat([Buffer.from([0, 0, 0, 3]), packet.subarray(12, 16), Buffer.from(text)])
}

/** Of each packet that came. */
export const actions = ({ seen }: FakeTracker): number[] => seen.map(({ action }) => action)
/** Of each announce that came. */
export const events = ({ seen }: FakeTracker): number[] =>
  seen.filter(({ action }) => action === 1).map(({ packet }) => packet.readUInt32BE(80))

export function simulated(
  body: (world: {
    host: Host
    trackerHost: Host
    time: VirtualTime
    network: ReturnType<typeof createSimNetwork>
  }) => Promise<void>,
  options: Partial<SimNetworkOptions> = {},
): () => Promise<void> {
  return () =>
    withVirtualTime({ seed: 1 }, async (time) => {
      const network = createSimNetwork({ seed: 1, ...options })
      await body({ host: network.host(US), trackerHost: network.host(TRACKER), time, network })
    })
}
