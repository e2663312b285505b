/** A plain DHT client, and simulated DHTs for it under virtual time. */
import {
  type BencodedDict,
  decodeBencode,
  decodeCompact,
  type Encodable,
  type Endpoint,
  encodeBencode,
  endpointKey,
  type Family,
  type Host,
  type InfoHash,
  infoHashBytes,
  read,
  sleep,
} from '@swarmatlas/core'
import { createSimNetwork, type VirtualTime, withVirtualTime } from '@swarmatlas/testkit'
import { type SimDhtWorld, type SimDhtWorldOptions, simDhtRanges, startSimDhtWorld } from '../src/index.ts'

export interface Client {
  ask(to: Endpoint, method: string, args?: Record<string, Encodable>): Promise<BencodedDict | undefined>
  send(to: Endpoint, bytes: Uint8Array): void
  close(): Promise<void>
}

const WAIT_MS = 1_000
const US: Readonly<Record<Family, string>> = { 4: '9.9.9.9', 6: '2a00::9' }

/** One question at a time, as plainly as BEP 5 has it. */
async function openClient({ udp, clock, random }: Host, family: Family): Promise<Client> {
  const waiting = new Map<string, (message: BencodedDict) => void>()
  let asked = 0
  const socket = await udp.open({
    family,
    onError() {},
    onMessage(bytes) {
      const message = decodeBencode(bytes)
      if (message instanceof Map) waiting.get(read.text(message, 't') ?? '')?.(message)
    },
  })
  return {
    async ask(to, method, args = {}) {
      const t = `q${asked++}`
      const answer = new Promise<BencodedDict>((resolve) => waiting.set(t, resolve))
      socket.send(encodeBencode({ t, y: 'q', q: method, ro: 1, a: { id: random.bytes(20), ...args } }), to)
      return await Promise.race([answer, sleep(clock, WAIT_MS).then(() => undefined)])
    },
    send: (to, bytes) => socket.send(bytes, to),
    close: () => socket.close(),
  }
}

export async function withWorld(
  options: SimDhtWorldOptions,
  body: (world: SimDhtWorld, client: Client, time: VirtualTime) => Promise<void>,
): Promise<void> {
  await withVirtualTime({ seed: options.seed }, async (time) => {
    const network = createSimNetwork({ seed: options.seed, delayMs: [10, 10] })
    await using world = await startSimDhtWorld(network.host(Object.values(simDhtRanges)), options)
    const [family = 4] = options.families ?? []
    const client = await openClient(network.host(US[family]), family)
    await body(world, client, time)
    await client.close()
  })
}

export function contactsIn(reply: BencodedDict | undefined, family: Family): { id: Buffer; endpoint: Endpoint }[] {
  const nodes = Buffer.from(read.bytes(read.dict(reply, 'r'), family === 4 ? 'nodes' : 'nodes6') ?? [])
  const size = family === 4 ? 26 : 38
  return Array.from({ length: nodes.length / size }, (_, i) => ({
    id: nodes.subarray(i * size, i * size + 20),
    endpoint: decodeCompact(nodes.subarray(i * size + 20, (i + 1) * size)) as Endpoint,
  }))
}

export function valuesIn(reply: BencodedDict | undefined): Endpoint[] {
  return (read.list(read.dict(reply, 'r'), 'values') ?? []).map(
    (value) => decodeCompact(value as Uint8Array) as Endpoint,
  )
}

export function distance(a: Uint8Array, b: Uint8Array): string {
  return Buffer.from(a.map((byte, i) => byte ^ (b[i] as number))).toString('hex')
}

/** Walks towards the hash until the nearest 20 that answer were asked `times` times each. */
export async function lookUp(world: SimDhtWorld, client: Client, hash: InfoHash, family: Family, times: number) {
  const target = infoHashBytes(hash)
  const known = new Map(
    world.bootstrap.map((endpoint) => [endpointKey(endpoint), { id: Buffer.alloc(20) as Buffer, endpoint }]),
  )
  const silent = new Set<string>()
  const asked = new Map<string, number>()
  const found = new Set<string>()
  for (;;) {
    const nearest = [...known.entries()]
      .filter(([key]) => !silent.has(key))
      .sort(([, a], [, b]) => (distance(a.id, target) < distance(b.id, target) ? -1 : 1))
      .slice(0, 20)
    const next = nearest.filter(([key]) => (asked.get(key) ?? 0) < times).slice(0, 8)
    if (next.length === 0) return { found, asked }
    await Promise.all(
      next.map(async ([key, { endpoint }]) => {
        asked.set(key, (asked.get(key) ?? 0) + 1)
        const reply = await client.ask(endpoint, 'get_peers', { info_hash: target })
        if (reply === undefined) silent.add(key)
        for (const contact of contactsIn(reply, family)) known.set(endpointKey(contact.endpoint), contact)
        for (const value of valuesIn(reply)) found.add(endpointKey(value))
      }),
    )
  }
}
