/** Machines with a uTP endpoint each, on the simulated network in virtual time. */
import {
  countingMeter,
  createAddressPolicy,
  createGate,
  type Endpoint,
  type Gate,
  type Host,
  profiles,
  type TcpStream,
} from '@swarmatlas/core'
import {
  createSimNetwork,
  type SimNetwork,
  type SimNetworkOptions,
  type VirtualTime,
  withVirtualTime,
} from '@swarmatlas/testkit'
import { createUtp, type Utp } from '../../src/utp/utp.ts'

export const A: Endpoint = { address: '203.0.113.1', port: 7_001 }
export const B: Endpoint = { address: '198.51.100.2', port: 7_002 }
export const B6: Endpoint = { address: '2001:db8::2', port: 7_002 }
export const never: AbortSignal = new AbortController().signal

export interface Machine {
  readonly host: Host
  readonly gate: Gate
  readonly utp: Utp
  readonly counts: ReadonlyMap<string, number>
}

export interface World {
  readonly network: SimNetwork
  readonly time: VirtualTime
  machine(addresses: string | readonly string[], port: number): Machine
}

export interface WorldOptions extends Partial<SimNetworkOptions> {
  /** Share of datagrams that arrive twice. */
  twiceShare?: number
  /** Each datagram is held back up to so long, so that they overtake each other. */
  jitterMs?: number
}

export function simulated(
  { twiceShare = 0, jitterMs = 0, ...options }: WorldOptions,
  body: (world: World) => Promise<void>,
): Promise<void> {
  return withVirtualTime({ seed: options.seed ?? 1, limitMs: 3_600_000 }, async (time) => {
    const network = createSimNetwork({ seed: 1, ...options })
    const machines: Machine[] = []
    await body({
      network,
      time,
      machine(addresses, port) {
        const seams = unruly(network.host(addresses), twiceShare, jitterMs)
        // A clock of its own, so that a test may set it.
        const host = { ...seams, clock: { ...seams.clock } }
        const meter = countingMeter()
        const policy = createAddressPolicy(host, { profile: profiles.lab, allowPrivate: true })
        const gate = fixedPort(createGate({ host, policy, meter }), port)
        const machine = { host, gate, counts: meter.counts, utp: createUtp({ ...host, gate, meter }) }
        machines.push(machine)
        return machine
      },
    })
    await Promise.all(machines.map(({ utp }) => utp.close()))
  })
}

function fixedPort(gate: Gate, port: number): Gate {
  return { ...gate, udp: (options) => gate.udp({ ...options, port }) }
}

/** A host whose datagrams are late by chance, or come twice. */
function unruly(host: Host, twiceShare: number, jitterMs: number): Host {
  if (twiceShare === 0 && jitterMs === 0) return host
  return {
    ...host,
    udp: {
      async open(options) {
        const socket = await host.udp.open(options)
        return {
          ...socket,
          send(bytes, to) {
            const copy = Uint8Array.from(bytes)
            for (let copies = host.random.float() < twiceShare ? 2 : 1; copies > 0; copies--) {
              host.clock.timer(host.random.float() * jitterMs, () => socket.send(copy, to))
            }
          },
        }
      },
    },
  }
}

/** A connection from a to b: both ends. */
export async function connected(a: Machine, b: Machine, to: Endpoint = B): Promise<[near: TcpStream, far: TcpStream]> {
  const accepted = new Promise<TcpStream>((resolve) => void b.utp.listen(resolve))
  let near: TcpStream | undefined
  // Where much is lost, all SYNs of an attempt may be.
  for (let tries = 0; near === undefined && tries < 5; tries++) near = await dial(a, to)
  if (near === undefined) throw new Error('no connection')
  // The acceptor believes in a connection once something comes over it.
  near.write('!')
  const far = await accepted
  await new Promise<void>((resolve) => far.once('readable', resolve))
  far.read(1)
  return [near, far]
}

export async function dial({ utp }: Machine, to: Endpoint): Promise<TcpStream | undefined> {
  const dialled = await utp.connect(to, { purpose: 'peer', timeoutMs: 60_000, signal: never })
  return dialled.ok ? dialled.stream : undefined
}

/** Not `for await`, which would close the other direction as well. */
export function readAll(stream: TcpStream): Promise<Buffer> {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk)).resume()
  return new Promise((resolve, reject) => {
    stream.once('end', () => resolve(Buffer.concat(chunks)))
    stream.once('close', () => reject(new Error('closed before its end')))
  })
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
