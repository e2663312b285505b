import { countingMeter, type Endpoint, limits, profiles, read } from '@swarmatlas/core'
import { createSimNetwork, type SimNetworkOptions, withVirtualTime } from '@swarmatlas/testkit'
import { describe, expect, it } from 'vitest'
import type { KrpcQuery, KrpcResponse } from '../src/krpc.ts'
import type { KrpcAnswer, QueryFailure } from '../src/krpc-interface.ts'
import { openKrpcSocket } from '../src/krpc-socket.ts'
import { gateOn, openNode, type RigOptions, type ScriptedNode } from './rig.ts'

const PING: KrpcQuery = { q: 'ping', a: { id: Buffer.alloc(20, 1) } }
const NODE = { address: '5.0.0.1', port: 6_881 }

interface Outcome {
  failure: QueryFailure | null
  answer: KrpcAnswer | null
  afterMs: number
}

/** A socket at 6.0.0.1 on a simulated network, where time is virtual. */
function onNetwork(
  options: RigOptions & Partial<SimNetworkOptions>,
  body: (rig: Awaited<ReturnType<typeof open>>) => Promise<void>,
): Promise<void> {
  return withVirtualTime({ seed: 1 }, async () => {
    const rig = await open(options)
    await body(rig)
    await new Promise<void>((done) => rig.socket.destroy(done))
  })
}

async function open(options: RigOptions & Partial<SimNetworkOptions>) {
  const net = createSimNetwork({ seed: 1, ...options })
  const host = net.host('6.0.0.1')
  const meter = countingMeter()
  const replied: { response: KrpcResponse; from: Endpoint }[] = []
  const watcher = {
    wants: () => true,
    sent() {},
    replied: (_: KrpcQuery, response: KrpcResponse, from: Endpoint) => void replied.push({ response, from }),
  }
  const { clock, random } = host
  const socket = await openKrpcSocket({ gate: gateOn(host, { ...options, meter }), clock, random, meter, watcher }, {})
  const heard: Buffer[] = []
  socket.on('response', ({ r }: { r: { id: Buffer } }) => heard.push(r.id))
  return {
    net,
    socket,
    replied,
    heard,
    counts: meter.counts,
    ask(to: Endpoint, id?: Buffer): Promise<Outcome> {
      const startedMs = clock.monotonic()
      return new Promise((resolve) => {
        const peer = { host: to.address, port: to.port, ...(id && { id }) }
        socket.query(peer, PING, (failure, answer) =>
          resolve({ failure, answer, afterMs: clock.monotonic() - startedMs }),
        )
      })
    },
  }
}

const nodeAt = (net: ReturnType<typeof createSimNetwork>, script = {}): Promise<ScriptedNode> =>
  openNode(net.host(NODE.address), { ...NODE, ...script })

describe('the guarded socket', () => {
  it('marks each query read-only and gives it an unpredictable transaction id', () =>
    onNetwork({}, async ({ net, ask }) => {
      const node = await nodeAt(net)
      for (let index = 0; index < 20; index++) await ask(NODE)
      const ids = node.queries.map(({ message }) => Buffer.from(read.bytes(message, 't') as Uint8Array).readUInt32BE())
      const steps = ids.slice(1).map((id, index) => id - (ids[index] as number))
      expect(new Set(steps).size).toBe(steps.length)
      for (const { message } of node.queries) {
        expect(read.bytes(message, 't')).toHaveLength(4)
        expect(read.integer(message, 'ro')).toBe(1)
        expect(read.text(message, 'v')).toMatch(/^SA../s)
      }
    }))

  it('tells k-rpc of a reply once, and of none from a node that is not who it was said to be', () =>
    onNetwork({}, async ({ net, ask, heard }) => {
      const node = await nodeAt(net)
      expect(await ask(NODE, node.id)).toMatchObject({ failure: null, answer: { r: { id: node.id } } })
      expect(heard).toEqual([node.id])
      expect(await ask(NODE, Buffer.alloc(20))).toMatchObject({ failure: { code: 'EUNEXPECTEDNODE' } })
      expect(heard).toEqual([node.id])
    }))

  it('fails a query that the policy refuses, without a byte sent and without waiting', () =>
    onNetwork({ allowPrivate: false }, async ({ net, ask, socket }) => {
      const outcome = await ask({ address: '10.0.0.1', port: 6_881 })
      expect(outcome).toMatchObject({ failure: { code: 'EREFUSED', refusal: { reason: 'address' } }, afterMs: 0 })
      expect(net.stats.datagrams.size).toBe(0)
      expect(socket.inflight).toBe(0)
    }))

  it('holds queries back while the rate of new endpoints is used up, and sends them in turn', () =>
    onNetwork({ profile: 'home' }, async ({ net, ask }) => {
      const burst = profiles.home.newEndpointsPerMinute / 6
      const targets = Array.from({ length: burst + 40 }, (_, index) => ({ address: `5.0.${index}.1`, port: 6_881 }))
      const outcomes = await Promise.all(targets.map((to) => ask(to)))
      expect(net.stats.datagrams.size).toBe(targets.length)
      // Eight new endpoints a second: the last of forty leaves after five seconds, and times out two later.
      const waits = outcomes.map(({ afterMs }) => afterMs)
      expect(Math.max(...waits)).toBeGreaterThan(6_900)
      expect(waits).toEqual(waits.toSorted((a, b) => a - b))
    }))

  it('gives up a query that is held back too long', () =>
    onNetwork({ profile: 'home' }, async ({ ask, socket }) => {
      const targets = Array.from({ length: 300 }, (_, index) => ({
        address: `5.${index >> 8}.${index & 255}.1`,
        port: 6_881,
      }))
      const outcomes = await Promise.all(targets.map((to) => ask(to)))
      const refused = outcomes.filter(({ failure }) => failure?.code === 'EREFUSED')
      expect(refused.length).toBeGreaterThan(100)
      for (const { afterMs } of refused) expect(afterMs).toBeLessThan(limits.dhtHeldQueryMs + 1_000)
      expect(socket.inflight).toBe(0)
    }))

  it('learns how long to wait, and still hears a late reply', () =>
    onNetwork({ delayMs: [20, 20] }, async ({ net, ask, heard, replied, socket }) => {
      const silence = { address: '5.0.0.9', port: 6_881 }
      expect(await ask(silence)).toMatchObject({ failure: { code: 'ETIMEDOUT' }, afterMs: limits.dhtQueryTimeoutMs })
      await nodeAt(net)
      for (let index = 0; index < 32; index++) await ask(NODE)
      const patience = 40 + limits.dhtTimeoutSlackMs
      expect(await ask(silence)).toMatchObject({ failure: { code: 'ETIMEDOUT' }, afterMs: patience })

      const slow = { address: '5.0.0.2', port: 6_881 }
      const held: (() => void)[] = []
      const node = await openNode(net.host(slow.address), {
        ...slow,
        answer(query, self) {
          held.push(() => self.send(reply(query.message.get('t') as Uint8Array, self.id), query.from))
          return undefined
        },
      })
      const before = replied.length
      expect(await ask(slow)).toMatchObject({ failure: { code: 'ETIMEDOUT' } })
      expect(socket.inflight).toBe(0)
      held[0]?.()
      await new Promise((wake) => setTimeout(wake, 100))
      expect(replied).toHaveLength(before + 1)
      expect(heard.at(-1)).toEqual(node.id)
      // A second reply to one query is one that nobody asked for.
      held[0]?.()
      await new Promise((wake) => setTimeout(wake, 100))
      expect(replied).toHaveLength(before + 1)
    }))

  it('applies what it learns to the queries under way', () =>
    onNetwork({ delayMs: [20, 20] }, async ({ net, ask }) => {
      await nodeAt(net)
      const silence = ask({ address: '5.0.0.9', port: 6_881 })
      for (let index = 0; index < 16; index++) await ask(NODE)
      expect((await silence).afterMs).toBeLessThan(1_000)
    }))

  it('fails what is under way when it is destroyed', () =>
    onNetwork({}, async ({ ask, socket }) => {
      const outcome = ask(NODE)
      socket.destroy()
      expect(await outcome).toMatchObject({ failure: { code: 'ECANCELED' }, afterMs: 0 })
      expect(await ask(NODE)).toMatchObject({ failure: { code: 'ECANCELED' } })
    }))
})

const reply = (t: Uint8Array, id: Buffer): Uint8Array =>
  Buffer.concat([Buffer.from('d1:rd2:id20:'), id, Buffer.from('e1:t4:'), t, Buffer.from('1:y1:re')])
