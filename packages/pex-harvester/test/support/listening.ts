import {
  countingMeter,
  createAddressPolicy,
  createGate,
  type Host,
  type Profile,
  parseBlocklist,
  profiles,
  silentLogger,
  type TcpStream,
  type Visit,
} from '@swarmatlas/core'
import { createSimNetwork, type VirtualTime, withVirtualTime } from '@swarmatlas/testkit'
import {
  createListener,
  createUtp,
  type InboundOptions,
  type Listener,
  type ListenerOptions,
  type SessionEvent,
} from '../../src/index.ts'
import { extension, frame, handshake, PEER_METADATA, PEER_PEX, ScriptedPeer } from './peer.ts'
import { OUR_ID, SWARM } from './visit.ts'

export const never: AbortSignal = new AbortController().signal
export const HELLO = { m: { ut_metadata: PEER_METADATA, ut_pex: PEER_PEX }, v: 'Dialler 1.0', p: 51_413 }
const FULL = frame(5, Uint8Array.of(0xff, 0xff, 0xff, 0xfe))
/** PEX that adds 9.9.9.9:6881. */
export const GOSSIP = Buffer.from('d5:added6:\x09\x09\x09\x09\x1a\xe1e', 'latin1')

export interface Us extends AsyncDisposable {
  readonly listener: Listener
  readonly counts: ReadonlyMap<string, number>
  readonly visits: (Visit | undefined)[]
  readonly events: SessionEvent[]
}

export interface UsOptions extends Partial<ListenerOptions> {
  profile?: Profile
  blocked?: string
  port?: number
  utp?: boolean
  session?: Partial<InboundOptions>
}

export async function listenOn(
  host: Host,
  { profile = profiles.lab, blocked, utp: overUtp, session, ...options }: UsOptions = {},
): Promise<Us> {
  const blocklist = blocked === undefined ? undefined : parseBlocklist(blocked)
  const policy = createAddressPolicy(host, { profile, allowPrivate: true, blocklist })
  const meter = countingMeter()
  const bare = createGate({ host, policy, meter })
  const port = options.port ?? 7_001
  const gate = { ...bare, udp: (wanted: Parameters<typeof bare.udp>[0]) => bare.udp({ ...wanted, port }) }
  const components = { ...host, gate, logger: silentLogger, meter }
  const utp = overUtp ? createUtp(components) : undefined
  const listener = await createListener(
    { ...components, utp },
    { peerId: OUR_ID, clientName: 'Swarmatlas 0.1.0', connections: 1_000, ...options, port },
  )
  const visits: (Visit | undefined)[] = []
  const events: SessionEvent[] = []
  listener.serve(SWARM, ({ run }) => {
    const sessionOptions = {
      signal: never,
      stayMs: 15_000,
      private: () => false,
      wantsMetadata: () => false,
      pieceCount: () => 31,
      ...session,
    }
    const follow = async () => {
      const stream = run(sessionOptions)
      for (;;) {
        const step = await stream.next()
        if (step.done) return visits.push(step.value)
        events.push(step.value)
      }
    }
    void follow()
  })
  return {
    listener,
    counts: meter.counts,
    visits,
    events,
    async [Symbol.asyncDispose]() {
      await listener.close()
      await utp?.close()
    },
  }
}

export const US = '203.0.113.1'
export const THEM = '198.51.100.2'

export interface Scene {
  readonly us: Us
  readonly time: VirtualTime
  /** Opens a connection from an address to our port. */
  dial(from?: string): Promise<TcpStream>
  readonly them: Host
}

export function inMemory(options: UsOptions, body: (scene: Scene) => Promise<void>): Promise<void> {
  return withVirtualTime({ seed: 1, limitMs: 3_600_000 }, async (time) => {
    const network = createSimNetwork({ seed: 1, delayMs: [10, 50] })
    const them = network.host([THEM, '198.51.100.0/24'])
    await using us = await listenOn(network.host(US), options)
    const to = { address: US, port: us.listener.port }
    const dial = async (from = THEM) => {
      const stream = await them.tcp.connect(to, { localAddress: from, signal: never })
      stream.on('error', () => {})
      return stream
    }
    await body({ us, time, dial, them })
  })
}

export const pause = (ms: number): Promise<void> => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** What every test peer says when it is asked nothing. */
export function introduce(stream: TcpStream, hello: typeof HELLO | object = HELLO): ScriptedPeer {
  const peer = new ScriptedPeer(stream)
  peer.send(handshake(SWARM), extension(0, hello as typeof HELLO), FULL)
  return peer
}
