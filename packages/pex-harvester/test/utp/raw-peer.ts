/** The other side of a connection, played packet by packet by the test. */
import type { Endpoint, Host, TcpStream, UdpSocket } from '@swarmatlas/core'
import { decodePacket, encodePacket, type Packet, TYPE } from '../../src/utp/packet.ts'
import { A, B, type Machine, never, pause } from './world.ts'

export interface RawPeer {
  readonly socket: UdpSocket
  readonly received: Packet[]
  /** Those received of one type. */
  of(type: Packet['type']): Packet[]
  /** Sends, by default a STATE of this peer's last facts, and waits a second. */
  say(packet?: Partial<Packet>, options?: { to?: Endpoint; waitMs?: number }): Promise<void>
  /** What `say` fills in. */
  facts: Omit<Packet, 'payload' | 'sack'>
}

export async function rawPeer(host: Host, { address, port }: Endpoint = B): Promise<RawPeer> {
  const received: Packet[] = []
  const socket = await host.udp.open({
    family: 4,
    address,
    port,
    onMessage: (bytes) => received.push(decodePacket(bytes) as Packet),
    onError() {},
  })
  const peer: RawPeer = {
    socket,
    received,
    facts: {
      type: TYPE.state,
      connectionId: 0,
      timestampUs: 1,
      differenceUs: 1,
      windowBytes: 1_000_000,
      seq: 1,
      ack: 0,
    },
    of: (type) => received.filter((packet) => packet.type === type),
    async say(packet = {}, { to = A, waitMs = 1_000 } = {}) {
      const { sack, payload = new Uint8Array(), ...facts } = { ...peer.facts, sack: undefined, ...packet }
      socket.send(encodePacket(facts, sack, payload), to)
      await pause(waitMs)
    },
  }
  return peer
}

/** The machine dials the peer, which accepts; both have sent nothing but that. Its next DATA has the number 500. */
export async function dialled(machine: Machine, peer: RawPeer): Promise<TcpStream> {
  const connecting = machine.utp.connect(B, { purpose: 'peer', timeoutMs: 5_000, signal: never })
  while (peer.received.length === 0) await pause(10)
  const syn = peer.received[0] as Packet
  Object.assign(peer.facts, { connectionId: syn.connectionId, seq: 500, ack: syn.seq })
  await peer.say()
  const result = await connecting
  if (!result.ok) throw new Error(result.detail)
  return result.stream
}

/** What comes of a stream: all bytes so far, and how it ended. */
export function watch(stream: TcpStream): { text: string; end: boolean; close: boolean; error: string | undefined } {
  const seen = { text: '', end: false, close: false, error: undefined as string | undefined }
  stream.on('data', (chunk: Buffer) => {
    seen.text += chunk.toString('latin1')
  })
  stream.on('end', () => {
    seen.end = true
  })
  stream.on('close', () => {
    seen.close = true
  })
  stream.on('error', (error: Error & { code?: string }) => {
    seen.error = error.code
  })
  return seen
}
