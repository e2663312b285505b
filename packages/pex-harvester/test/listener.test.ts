/** Peers that dial us, in memory and on loopback. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import {
  countingMeter,
  createAddressPolicy,
  createGate,
  type Endpoint,
  type Host,
  limits,
  type Profile,
  parseBlocklist,
  profiles,
  silentLogger,
  sleep,
  type TcpStream,
  type Visit,
} from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { createSimNetwork, leakCheck, type VirtualTime, withVirtualTime } from '@swarmatlas/testkit'
import { describe, expect, test } from 'vitest'
import {
  createHarvester,
  createListener,
  createUtp,
  type InboundOptions,
  type Listener,
  type ListenerOptions,
  type SessionEvent,
} from '../src/index.ts'
import { startMse } from '../src/mse/stream.ts'
import { extension, frame, handshake, PEER_METADATA, PEER_PEX, ScriptedPeer } from './support/peer.ts'
import { INFO, OUR_ID, SWARM } from './support/visit.ts'

const never = new AbortController().signal
const HELLO = { m: { ut_metadata: PEER_METADATA, ut_pex: PEER_PEX }, v: 'Dialler 1.0', p: 51_413 }
const FULL = frame(5, Uint8Array.of(0xff, 0xff, 0xff, 0xfe))
/** PEX that adds 9.9.9.9:6881. */
const GOSSIP = Buffer.from('d5:added6:\x09\x09\x09\x09\x1a\xe1e', 'latin1')

interface Us extends AsyncDisposable {
  readonly listener: Listener
  readonly counts: ReadonlyMap<string, number>
  readonly visits: (Visit | undefined)[]
  readonly events: SessionEvent[]
}

interface UsOptions extends Partial<ListenerOptions> {
  profile?: Profile
  blocked?: string
  port?: number
  utp?: boolean
  session?: Partial<InboundOptions>
}

async function listenOn(
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

const US = '203.0.113.1'
const THEM = '198.51.100.2'

interface Scene {
  readonly us: Us
  readonly time: VirtualTime
  /** Opens a connection from an address to our port. */
  dial(from?: string): Promise<TcpStream>
  readonly them: Host
}

function inMemory(options: UsOptions, body: (scene: Scene) => Promise<void>): Promise<void> {
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

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** What every test peer says when it is asked nothing. */
function introduce(stream: TcpStream, hello: typeof HELLO | object = HELLO): ScriptedPeer {
  const peer = new ScriptedPeer(stream)
  peer.send(handshake(SWARM), extension(0, hello as typeof HELLO), FULL)
  return peer
}

describe('a peer that dials in', () => {
  const expected = {
    peer: { address: THEM, port: 51_413 },
    outcome: 'ok',
    opened: true,
    handshaken: true,
    refuted: false,
    client: 'Dialler 1.0',
    role: 'seed',
    listenPort: 51_413,
    pexAdded: 1,
  }

  test.each(['plain', 'mse'] as const)('over TCP, %s, is visited as one that we dialled', (encryption) =>
    inMemory({}, async ({ us, dial, them }) => {
      const carrier = await dial()
      const stream =
        encryption === 'mse' ? startMse({ random: them.random, stream: carrier }, { swarm: SWARM }) : carrier
      const peer = introduce(stream)
      await pause(200)
      peer.send(extension(2, GOSSIP))
      await pause(5_000)
      expect(us.visits).toEqual([expect.objectContaining({ ...expected, transport: 'tcp', encryption })])
      const told = us.events.flatMap((event) => (event.type === 'observation' ? [event.observation] : []))
      expect(told).toMatchObject([
        { channel: 'inbound', teller: { kind: 'self' }, peer: expected.peer, flags: [] },
        {
          channel: 'pex',
          teller: { kind: 'peer', endpoint: expected.peer },
          peer: { address: '9.9.9.9', port: 6_881 },
        },
      ])
    }),
  )

  test('over uTP likewise', () =>
    inMemory({ utp: true }, async ({ us, them }) => {
      const meter = countingMeter()
      const policy = createAddressPolicy(them, { profile: profiles.lab, allowPrivate: true })
      await using utp = createUtp({ ...them, gate: createGate({ host: them, policy, meter }), meter })
      const to = { address: US, port: us.listener.port }
      const dialled = await utp.connect(to, { purpose: 'peer', timeoutMs: 5_000, signal: never })
      if (!dialled.ok) throw new Error(dialled.detail)
      const peer = introduce(dialled.stream)
      await pause(200)
      peer.send(extension(2, GOSSIP))
      await pause(5_000)
      expect(us.visits).toEqual([expect.objectContaining({ ...expected, transport: 'utp', encryption: 'plain' })])
    }))

  test('hears a handshake, where we listen, have-none and nothing else', () =>
    inMemory({}, async ({ us, dial }) => {
      const peer = introduce(await dial())
      await pause(20_000)
      expect(us.visits).toHaveLength(1)
      expect(peer.receivedHandshake.subarray(28, 48).toString('hex')).toBe(SWARM)
      expect(peer.received.map(({ id }) => id)).toEqual([15, 20])
      expect(peer.receivedExtension?.get('p')).toBe(7_001)
      expect(peer.receivedExtension?.has('metadata_size')).toBe(false)
    }))

  test('without a listening port it is no endpoint, nor is what it gossips', () =>
    inMemory({}, async ({ us, dial }) => {
      const { p: _, ...hello } = HELLO
      const peer = introduce(await dial(), hello)
      await pause(200)
      peer.send(extension(2, GOSSIP))
      await pause(20_000)
      expect(us.visits).toEqual([undefined])
      expect(us.events.map(({ type }) => type)).toEqual(['opened', 'handshaken'])
      expect(us.counts.get('inbound.without-port')).toBe(1)
    }))

  test('is given verified metadata when it asks, a few pieces and then refusals', () => {
    const info = Buffer.alloc(limits.metadataPiecesServed * 16_384 + 16_385, 'x')
    return inMemory({ session: { metadata: () => info } }, async ({ dial }) => {
      const { m, ...hello } = HELLO
      const peer = new ScriptedPeer(await dial())
      peer.send(handshake(SWARM), extension(0, { ...hello, m: { ut_metadata: PEER_METADATA } }))
      await pause(200)
      expect(peer.receivedExtension?.get('metadata_size')).toBe(info.length)
      for (let piece = 0; piece < 100; piece++) peer.send(extension(1, { msg_type: 0, piece }))
      await pause(1_000)
      const answers = peer.received.filter(({ id, payload }) => id === 20 && payload[0] === PEER_METADATA)
      expect(answers).toHaveLength(2 * limits.metadataPiecesServed)
      const heads = answers.map(({ payload }) => Buffer.from(payload.subarray(1, 40)).toString('latin1'))
      expect(heads.filter((head) => head.startsWith('d8:msg_typei1e'))).toHaveLength(limits.metadataPiecesServed)
      expect(heads.filter((head) => head.startsWith('d8:msg_typei2e'))).toHaveLength(limits.metadataPiecesServed)
      expect(answers[0]?.payload.length).toBeGreaterThan(16_384)
    })
  })

  test('gives metadata, too', () =>
    inMemory({ session: { wantsMetadata: () => true } }, async ({ us, dial }) => {
      const peer = introduce(await dial(), { ...HELLO, metadata_size: INFO.length })
      await pause(200)
      expect(peer.requested).toEqual([0])
      peer.sendMetadata(INFO, [0])
      await pause(20_000)
      expect(us.events).toContainEqual({ type: 'metadata', bytes: Uint8Array.from(INFO) })
    }))
})

describe('nothing is said to', () => {
  const foreign = Buffer.from(handshake(SWARM))
  foreign[30] = (foreign[30] as number) ^ 1
  // [who, what it sends, what is counted]
  const table: [string, Uint8Array, string][] = [
    ['who asks for another swarm', foreign, 'inbound.foreign-swarm'],
    ['who hangs up in the handshake', handshake(SWARM).subarray(0, 47), 'inbound.no-handshake'],
  ]
  test.each(table)('%s', (_who, bytes, count) =>
    inMemory({}, async ({ us, dial }) => {
      const peer = new ScriptedPeer(await dial())
      peer.send(bytes)
      peer.stream.end()
      await pause(10_000)
      expect(peer.receivedHandshake).toHaveLength(0)
      expect(us.counts.get(count)).toBe(1)
      expect(us.visits).toEqual([])
    }),
  )

  test('who is silent, or sends a byte a second: hung up on at the deadline', () =>
    inMemory({}, async ({ us, dial, them }) => {
      const silent = await dial()
      const slow = await dial()
      let sent = 0
      const drip = async () => {
        for (const byte of handshake(SWARM)) {
          if (slow.destroyed) return
          slow.write(Uint8Array.of(byte))
          sent++
          await sleep(them.clock, 1_000, never)
        }
      }
      const closed = [silent, slow].map((stream) => once(stream.resume(), 'close'))
      void drip()
      await Promise.all(closed)
      expect(sent).toBeLessThan(10)
      expect(us.counts.get('inbound.no-handshake')).toBe(2)
      await pause(2_000)
    }))

  test('who sends garbage gets no more than a key exchange', () =>
    inMemory({}, async ({ us, dial, them }) => {
      const peers = await Promise.all(Array.from({ length: 50 }, async () => new ScriptedPeer(await dial())))
      for (const peer of peers) peer.send(them.random.bytes(2_000))
      await pause(10_000)
      expect(us.visits).toEqual([])
      expect(us.counts.get('inbound.no-handshake')).toBe(50)
      const longest = 96 + limits.msePadBytes
      for (const peer of peers) expect(peer.receivedHandshake.length).toBeLessThanOrEqual(longest)
      // And who is honest is still heard.
      introduce(await dial())
      await pause(20_000)
      expect(us.visits).toHaveLength(1)
    }))

  test('who is on the blocklist', () =>
    inMemory({ blocked: `x:${THEM}-${THEM}` }, async ({ us, dial }) => {
      const peer = introduce(await dial())
      const other = introduce(await dial('198.51.100.3'))
      await pause(20_000)
      expect(peer.receivedHandshake).toHaveLength(0)
      expect(other.receivedHandshake).toHaveLength(68)
      expect(us.visits).toMatchObject([{ peer: { address: '198.51.100.3' } }])
      expect(us.counts.get('gate.refused-caller.blocklist')).toBe(1)
    }))

  test('anybody for a swarm that is not served any more', () =>
    inMemory({}, async ({ us, dial }) => {
      us.listener.serve(SWARM, () => {})()
      const peer = introduce(await dial())
      await pause(10_000)
      expect(peer.receivedHandshake).toHaveLength(0)
      expect(us.counts.get('inbound.refused.not-listening')).toBe(1)
    }))
})

test('we call ourselves: both ends say so and nobody is recorded', () =>
  inMemory({}, async ({ us, them }) => {
    const meter = countingMeter()
    const policy = createAddressPolicy(them, { profile: profiles.lab, allowPrivate: true })
    const gate = createGate({ host: them, policy, meter })
    const harvester = createHarvester(
      { ...them, gate, logger: silentLogger, meter },
      { peerId: OUR_ID, clientName: 'Swarmatlas 0.1.0', listenPort: us.listener.port },
    )
    const visit = harvester.visit(
      { address: US, port: us.listener.port },
      {
        ...{ swarm: SWARM, signal: never, claim: { channels: 1 }, stayMs: 15_000 },
        ...{ private: () => false, wantsMetadata: () => false, pieceCount: () => undefined },
      },
    )
    let step = await visit.next()
    while (!step.done) step = await visit.next()
    expect(step.value).toMatchObject({ outcome: 'forbidden', detail: 'ourselves' })
    await pause(1_000)
    expect(us.visits).toEqual([undefined])
    expect(us.events.filter(({ type }) => type === 'observation')).toEqual([])
  }))

describe('floods', () => {
  test('one address holds so many connections as its ports may be dialled, and others still get in', () =>
    inMemory({ profile: profiles.server }, async ({ us, dial }) => {
      await Promise.all(Array.from({ length: 100 }, () => dial()))
      await pause(100)
      expect(us.counts.get('inbound.accepted.tcp')).toBe(profiles.server.portsPerAddress)
      introduce(await dial('198.51.100.7'))
      await pause(20_000)
      expect(us.visits).toMatchObject([{ peer: { address: '198.51.100.7' } }])
      // Their places are free again.
      introduce(await dial())
      await pause(20_000)
      expect(us.visits).toHaveLength(2)
    }))

  test('a second takes limits.inboundPerSecond, and the next as many again', () =>
    inMemory({}, async ({ us, dial }) => {
      await Promise.all(Array.from({ length: 300 }, () => dial()))
      await pause(100)
      expect(us.counts.get('inbound.refused.rate')).toBe(300 - limits.inboundPerSecond)
      await pause(6_000)
      introduce(await dial())
      await pause(20_000)
      expect(us.visits).toHaveLength(1)
    }))

  test('2,000 connections on loopback: bounded, and an honest peer of another address is heard', async () => {
    await using _ = leakCheck()
    await using us = await listenOn(nodeHost(), { profile: profiles.server, port: 0 })
    const to = { host: '127.0.0.1', port: us.listener.port }
    const sockets: Socket[] = []
    // In waves that the system's backlog has place for.
    for (let wave = 0; wave < 10; wave++) {
      for (let one = 0; one < 200; one++) {
        const socket = connect({ ...to, localAddress: '127.0.0.5' })
        sockets.push(socket.on('error', () => {}).on('data', () => {}))
      }
      await until(() => sockets.every(isSettled) && sockets.filter(isOpen).length <= profiles.server.portsPerAddress)
    }
    expect(us.counts.get('inbound.accepted.tcp')).toBe(profiles.server.portsPerAddress)
    await pause(1_000)
    const honest = connect({ ...to, localAddress: '127.0.0.6' })
    introduce(honest)
    await until(() => us.events.some(({ type }) => type === 'observation'))
    for (const socket of [...sockets, honest]) socket.destroy()
    await until(() => us.visits.length === 1)
    expect(us.visits).toMatchObject([{ handshaken: true, peer: { address: '127.0.0.6', port: 51_413 } }])
  })

  test('ulimit -n 256: 600 connections do not end the process, which hears the next peer', async () => {
    const child = fileURLToPath(new URL('./support/listening.child.ts', import.meta.url))
    const command = 'ulimit -n 256; exec "$0" --import tsx --conditions=@swarmatlas/source "$1"'
    const us = spawn('bash', ['-c', command, process.execPath, child], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      const said: string[] = []
      us.stdout.on('data', (text: Buffer) => said.push(...text.toString().trim().split('\n')))
      await until(() => said.length > 0)
      const port = Number(said[0])
      const flood = Array.from({ length: 600 }, () => connect({ host: '127.0.0.1', port }))
      for (const socket of flood) socket.on('error', () => {}).on('data', () => {})
      await until(() => flood.every(isSettled))
      expect(us.exitCode).toBe(null)
      for (const socket of flood) socket.destroy()
      await pause(1_100)
      const honest = connect({ host: '127.0.0.1', port })
      introduce(honest)
      await until(() => said.includes('inbound 127.0.0.1:51413'))
      honest.destroy()
    } finally {
      us.kill()
      if (us.exitCode === null) await once(us, 'exit')
    }
  })
})

const isSettled = (socket: Socket) => !socket.connecting
const isOpen = (socket: Socket) => !socket.destroyed && !socket.connecting

async function until(met: () => boolean): Promise<void> {
  for (let tries = 0; !met(); tries++) {
    if (tries > 1_000) throw new Error('it did not come to pass')
    await pause(10)
  }
}

describe('opening and closing', () => {
  test('a port that another has is NO_NETWORK, and nothing stays open', async () => {
    await using _ = leakCheck()
    const host = nodeHost()
    const other = await host.tcp.listen({ address: '0.0.0.0', port: 0, onConnection: () => {} })
    await expect(listenOn(host, { port: other.local.port })).rejects.toMatchObject({ code: 'NO_NETWORK' })
    await other.close()
  })

  test('closing cuts sessions, which end with what is known; it may be done twice', () =>
    inMemory({}, async ({ us, dial }) => {
      const stream = await dial()
      const { p, m, v } = HELLO
      const peer = new ScriptedPeer(stream)
      peer.send(handshake(SWARM), extension(0, { m, p, v }))
      await pause(1_000)
      await Promise.all([us.listener.close(), us.listener.close()])
      await pause(1_000)
      expect(us.visits).toMatchObject([{ handshaken: true, outcome: 'reset', peer: { address: THEM, port: p } }])
    }))

  test('a session that nobody runs is hung up on', () =>
    inMemory({}, async ({ us, dial }) => {
      const seen: Endpoint[] = []
      us.listener.serve(SWARM, ({ from }) => seen.push(from))
      const stream = await dial()
      stream.write(handshake(SWARM))
      await once(stream.resume(), 'close')
      expect(seen).toMatchObject([{ address: THEM }])
    }))
})
