/** Rounds that peers call in to. */
import {
  countingMeter,
  createAddressPolicy,
  createGate,
  encodeBencode,
  endpointKey,
  type Host,
  infoHashBytes,
  limits,
  profiles,
  type TcpStream,
  targetFromTorrentFile,
} from '@swarmatlas/core'
import { createUtp } from '@swarmatlas/pex-harvester'
import type { SimTorrent } from '@swarmatlas/sim-swarm'
import { describe, expect, test } from 'vitest'
import { endpointsOf, keysOf, oneTorrent, someone } from './rig.ts'
import { type Simulated, simulate, US } from './simulated.ts'

const HIDDEN = '10.3.0.9'
const PORT = 7_000
const LISTEN = { listen: { port: PORT, quietMs: 10_000 } }

const some = oneTorrent([...someone('tracker', 4, { via: ['tracker'] }), ...someone('dht', 2, { via: ['dht'] })])

function framed(id: number, payload: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(5 + payload.length)
  bytes.writeUInt32BE(1 + payload.length)
  bytes[4] = id
  bytes.set(payload, 5)
  return bytes
}

const there = { address: US, port: PORT }
const { signal } = new AbortController()

function overTcp(host: Host): Promise<TcpStream | undefined> {
  return host.tcp.connect(there, { signal }).catch(() => undefined)
}

async function overUtp(host: Host): Promise<TcpStream | undefined> {
  const meter = countingMeter()
  const policy = createAddressPolicy(host, { profile: profiles.lab, allowPrivate: true })
  const utp = createUtp({ ...host, gate: createGate({ host, policy, meter }), meter })
  const dialled = await utp.connect(there, { purpose: 'peer', timeoutMs: 5_000, signal })
  if (!dialled.ok) return undefined
  dialled.stream.once('close', () => void utp.close())
  return dialled.stream
}

/** A peer behind a NAT: it calls `afterMs` from now and says that it has nothing; what it hears in return. */
async function callIn(
  { network }: Simulated,
  torrent: SimTorrent,
  { afterMs = 2_000, p = 51_413, address = HIDDEN, dial = overTcp } = {},
): Promise<Buffer> {
  const host = network.host(address)
  await new Promise((resolve) => setTimeout(resolve, afterMs))
  const stream = await dial(host)
  if (stream === undefined) return Buffer.alloc(0)
  const heard: Buffer[] = []
  stream.on('error', () => {}).on('data', (chunk: Buffer) => heard.push(chunk))
  const reserved = Buffer.from([0, 0, 0, 0, 0, 0x10, 0, 4])
  const id = Buffer.from(`-TR4060-${address.padEnd(12, 'x')}`)
  const hello = encodeBencode({ m: {}, v: 'Hidden 1.0', ...(p > 0 && { p }) })
  stream.write(
    Buffer.concat([
      Buffer.from('\x13BitTorrent protocol', 'latin1'),
      ...[reserved, infoHashBytes(torrent.hashes.v1 as never), id],
      ...[framed(20, Buffer.concat([Uint8Array.of(0), hello])), framed(15, new Uint8Array())],
    ]),
  )
  await new Promise((resolve) => stream.once('close', resolve))
  return Buffer.concat(heard)
}

describe('a peer that can only call', () => {
  test('is in the report beside all others, with what it said; and the trackers were told our port', () =>
    simulate(some, async (simulated) => {
      const { torrent, open } = simulated
      const rig = await open(LISTEN)
      const [{ report }, heard] = await Promise.all([rig.map([torrent.magnet]), callIn(simulated, torrent)])
      expect(rig.mapper.port).toBe(PORT)
      expect(keysOf(report.peers)).toEqual(new Set([...endpointsOf(torrent), `${HIDDEN}:51413`]))
      expect(report.peers.find(({ address }) => address === HIDDEN)).toMatchObject({
        ...{ port: 51_413, inbound: true, channels: ['inbound'], evidence: 'role-known', role: 'leech' },
        ...{ client: 'Hidden 1.0', transport: 'tcp', encryption: 'plain', lastOutcome: 'ok' },
      })
      expect(report.peers.filter(({ inbound }) => inbound)).toHaveLength(1)
      expect(report.counts.byChannel.inbound).toBe(1)
      expect(heard.subarray(28, 48).toString('hex')).toBe(torrent.hashes.v1)
      expect(heard.includes('1:pi7000e')).toBe(true)
      // One session a round: it was not called back.
      expect(simulated.network.stats.connects.get(`${HIDDEN}:51413`)).toBeUndefined()
      expect(rig.complaints).toEqual([])
    }))

  test('without listening it finds nobody, and no report has it', () =>
    simulate(some, async (simulated) => {
      const { torrent, open } = simulated
      const rig = await open()
      const [{ report }, heard] = await Promise.all([rig.map([torrent.magnet]), callIn(simulated, torrent)])
      expect(heard).toHaveLength(0)
      expect(keysOf(report.peers)).toEqual(endpointsOf(torrent))
    }))

  test('and names no port is counted, and is no peer', () =>
    simulate(some, async (simulated) => {
      const { torrent, open } = simulated
      const rig = await open(LISTEN)
      const [{ report }] = await Promise.all([rig.map([torrent.magnet]), callIn(simulated, torrent, { p: 0 })])
      expect(keysOf(report.peers)).toEqual(endpointsOf(torrent))
      expect(report.callersWithoutPort).toBe(1)
    }))

  test('keeps what it said though nothing answers where it was listed', () =>
    simulate(
      oneTorrent([{ name: 'hidden', role: 'leech', via: ['tracker'], address: '10.1.1.9', down: true }]),
      async (simulated) => {
        const { torrent, open } = simulated
        const [hidden] = torrent.peers
        const { address, port: p } = (hidden as SimTorrent['peers'][number]).endpoint
        const rig = await open(LISTEN)
        const [{ report }] = await Promise.all([rig.map([torrent.magnet]), callIn(simulated, torrent, { p, address })])
        expect(report.peers).toMatchObject([{ address, port: p, inbound: true, evidence: 'role-known' }])
      },
    ))

  test('over uTP, on the port that is the DHT’s too', () =>
    simulate(some, async (simulated) => {
      const { torrent, open } = simulated
      const rig = await open(LISTEN)
      const [{ report }] = await Promise.all([rig.map([torrent.magnet]), callIn(simulated, torrent, { dial: overUtp })])
      expect(report.peers.find(({ address }) => address === HIDDEN)).toMatchObject({
        ...{ port: 51_413, inbound: true, evidence: 'role-known', transport: 'utp' },
      })
    }))
})

test('the round ends when nobody new has called for a while, and does not wait for the dead', () =>
  simulate(some, async (simulated) => {
    const { torrent, open, time } = simulated
    const rig = await open(LISTEN)
    const fromMs = time.elapsedMs()
    await Promise.all([rig.map([torrent.magnet]), callIn(simulated, torrent, { afterMs: 8_000 })])
    const tookMs = time.elapsedMs() - fromMs
    expect(tookMs).toBeGreaterThan(LISTEN.listen.quietMs + 8_000)
    expect(tookMs).toBeLessThan(LISTEN.listen.quietMs + 8_000 + 2 * limits.sessionStayMs)
  }))

describe('a private torrent', () => {
  const secret = oneTorrent(someone('tracker', 3, { via: ['tracker'] }), { private: true }, { udpTracker: false })

  test('is not answered for without --private-ok', () =>
    simulate(secret, async (simulated) => {
      const { torrent, open } = simulated
      const rig = await open(LISTEN)
      const other = callIn(simulated, torrent, { afterMs: 0 })
      const { report } = await rig.map([targetFromTorrentFile(torrent.torrentFile, 'one.torrent')])
      expect(report.peers).toEqual([])
      await rig.mapper.close()
      expect(await other).toHaveLength(0)
    }))

  test('with it, callers are its peers as much as those that its tracker names', () =>
    simulate(secret, async (simulated) => {
      const { torrent, open, sim } = simulated
      const rig = await open({ ...LISTEN, privateOk: true })
      const [{ report }] = await Promise.all([
        rig.map([targetFromTorrentFile(torrent.torrentFile, 'one.torrent')]),
        callIn(simulated, torrent),
      ])
      expect(keysOf(report.peers)).toEqual(new Set([...endpointsOf(torrent), `${HIDDEN}:51413`]))
      expect(sim.counters.dhtQueriesByNode.size).toBe(0)
    }))
})

test('a flood of callers does not keep a round from its peers', () =>
  simulate(some, async (simulated) => {
    const { torrent, open, network } = simulated
    const rig = await open({ ...LISTEN, profile: { ...profiles.lab, portsPerAddress: 8, firstContactsPerPrefix: 64 } })
    const flooder = network.host('10.4.0.1')
    const flood = Array.from({ length: 500 }, () =>
      flooder.tcp
        .connect({ address: US, port: PORT }, { signal: new AbortController().signal })
        .then((stream) => stream.on('error', () => {}).write(Buffer.alloc(100, 'garbage')))
        .catch(() => {}),
    )
    const [{ report }] = await Promise.all([rig.map([torrent.magnet]), callIn(simulated, torrent), ...flood])
    expect(keysOf(report.peers)).toEqual(new Set([...endpointsOf(torrent), `${HIDDEN}:51413`]))
    expect(rig.counts.get('inbound.accepted.tcp')).toBeLessThan(20)
    expect(rig.complaints).toEqual([])
  }))

test('a port that cannot be had is NO_NETWORK, and everything is closed again', () =>
  simulate(some, async ({ open, network }) => {
    const host = network.host('10.2.0.9')
    const taken = await host.tcp.listen({ address: '0.0.0.0', port: PORT, onConnection: () => {} })
    await expect(open({ ...LISTEN, host })).rejects.toMatchObject({ code: 'NO_NETWORK' })
    await taken.close()
    const rig = await open({ ...LISTEN, host })
    expect(endpointKey({ address: '10.2.0.9', port: rig.mapper.port })).toBe('10.2.0.9:7000')
  }))
