import { countingMeter, type Endpoint, encodeBencode, encodeCompact, limits, read } from '@swarmatlas/core'
import { createSimNetwork, type SimNetworkOptions, withVirtualTime } from '@swarmatlas/testkit'
import { describe, expect, it } from 'vitest'
import { isSecureId } from '../src/own-id.ts'
import {
  openQuerySocket,
  type QueryOutcome,
  type QuerySocket,
  type QuerySocketOptions,
  type Question,
  type Unsent,
} from '../src/query-socket.ts'
import { gateOn, openNode, type RigOptions, replyTo } from './rig.ts'

const NODE: Endpoint = { address: '5.0.0.1', port: 6_881 }
const pause = (ms: number) => new Promise((wake) => setTimeout(wake, ms))

interface Rig {
  net: ReturnType<typeof createSimNetwork>
  socket: QuerySocket
  counts: ReadonlyMap<string, number>
  answered: Endpoint[]
  lost: Endpoint[]
  /** All that is heard within two seconds, with the time of each. */
  ask(
    to: Endpoint,
    more?: Partial<Question>,
  ): Promise<{ kind: string; afterMs: number; outcome: QueryOutcome | Unsent }[]>
}

type Options = RigOptions & Partial<SimNetworkOptions> & Partial<QuerySocketOptions> & { take?: () => number }

/** A socket at 6.0.0.1 on a simulated network, where time is virtual. */
function onNetwork(options: Options, body: (rig: Rig) => Promise<void>): Promise<void> {
  return withVirtualTime({ seed: 1 }, async () => {
    const net = createSimNetwork({ seed: 1, delayMs: [20, 20], ...options })
    const host = net.host('6.0.0.1')
    const meter = countingMeter()
    const answered: Endpoint[] = []
    const lost: Endpoint[] = []
    const watcher = {
      answered: (_: Buffer, endpoint: Endpoint) => void answered.push(endpoint),
      lost: (endpoint: Endpoint) => void lost.push(endpoint),
    }
    const { clock, random } = host
    const { take } = options
    const socket = await openQuerySocket(
      { gate: gateOn(host, { ...options, meter }), clock, random, meter, watcher, ...(take && { budget: { take } }) },
      { family: 4, port: 0, lab: false, ...options },
    )
    const ask: Rig['ask'] = async (to, more = {}) => {
      const startedMs = clock.monotonic()
      const heard: { kind: string; afterMs: number; outcome: QueryOutcome | Unsent }[] = []
      const hear = (outcome: QueryOutcome | Unsent) =>
        void heard.push({ kind: outcome.kind, afterMs: clock.monotonic() - startedMs, outcome })
      const result = socket.ask({ to, query: { method: 'ping' }, ...more }, hear)
      if (result.kind === 'unsent') hear(result)
      else await pause(limits.dhtQueryTimeoutMs + 100)
      return heard
    }
    await body({ net, socket, counts: meter.counts, answered, lost, ask })
    await socket.close()
  })
}

const nodeAt = (net: Rig['net'], endpoint = NODE, script = {}) =>
  openNode(net.host(endpoint.address), { ...endpoint, ...script })
const kinds = (heard: readonly { kind: string }[]) => heard.map(({ kind }) => kind)

describe('the query socket', () => {
  it('marks each query read-only and gives it an unpredictable transaction id', () =>
    onNetwork({}, async ({ net, ask }) => {
      const node = await nodeAt(net)
      for (let index = 0; index < 10; index++) expect(kinds(await ask(NODE))).toEqual(['answer'])
      const ids = node.queries.map(({ message }) => Buffer.from(read.bytes(message, 't') as Uint8Array).readUInt32BE())
      const steps = ids.slice(1).map((id, index) => id - (ids[index] as number))
      expect(new Set(steps).size).toBe(9)
      for (const { message } of node.queries) {
        expect(read.integer(message, 'ro')).toBe(1)
        expect(read.text(message, 'v')).toMatch(/^SA../s)
      }
    }))

  it('asks a node once in two seconds, and says how long to wait', () =>
    onNetwork({}, async ({ net, socket, ask }) => {
      const node = await nodeAt(net)
      socket.ask({ to: NODE, query: { method: 'ping' } }, () => {})
      await pause(500)
      expect(await ask(NODE)).toMatchObject([{ outcome: { reason: 'busy', waitMs: 1_500 } }])
      await pause(1_500)
      expect(kinds(await ask(NODE))).toEqual(['answer'])
      expect(node.queries).toHaveLength(2)
    }))

  it('leaves who did not answer alone for ten minutes, and who did answer once is forgiven a loss', () =>
    onNetwork({}, async ({ net, socket, ask, lost }) => {
      expect(kinds(await ask(NODE))).toEqual(['silent', 'lost'])
      expect(await ask(NODE)).toMatchObject([{ outcome: { reason: 'unanswered' } }])
      expect(socket.unanswered()).toMatchObject([{ endpoint: '5.0.0.1:6881' }])
      expect(lost).toEqual([NODE])
      await nodeAt(net)
      await pause(limits.dhtUnansweredMs)
      expect(kinds(await ask(NODE))).toEqual(['answer'])
      net.kill(NODE.address)
      for (let index = 0; index < limits.dhtStrikes; index++) expect(kinds(await ask(NODE))).toEqual(['silent', 'lost'])
      expect(kinds(await ask(NODE))).toEqual(['unsent'])
      expect(net.stats.datagrams.get('5.0.0.1:6881')).toBe(2 + limits.dhtStrikes)
    }))

  it('limits queries to one address and to one network, unless in a lab', async () => {
    const sent = async (lab: boolean, address: (index: number) => string) => {
      let unsent = 0
      await onNetwork({ lab }, async ({ socket }) => {
        for (let index = 0; index < 300; index++) {
          const result = socket.ask(
            { to: { address: address(index), port: 2_000 + index }, query: { method: 'ping' } },
            () => {},
          )
          if (result.kind === 'unsent') unsent++
          if (result.kind === 'unsent') expect(result).toMatchObject({ reason: 'rate', waitMs: limits.dhtRateWindowMs })
        }
      })
      return 300 - unsent
    }
    expect(await sent(false, () => '5.0.0.1')).toBe(limits.dhtQueriesPerAddress)
    expect(await sent(false, (index) => `5.0.0.${index % 250}`)).toBe(limits.dhtQueriesPerPrefix)
    expect(await sent(true, () => '5.0.0.1')).toBe(300)
  })

  it('asks the budget of packets before it sends', () =>
    onNetwork({ take: () => 70 }, async ({ net, ask }) => {
      expect(await ask(NODE)).toMatchObject([{ outcome: { reason: 'budget', waitMs: 70 } }])
      expect(net.stats.datagrams.size).toBe(0)
    }))

  it('learns how long to wait, class by class, and still hears a late reply', () =>
    onNetwork({}, async ({ net, ask, answered }) => {
      const fresh = (index: number): Endpoint => ({ address: `5.1.${index}.1`, port: 6_881 })
      const first = await ask({ address: '5.9.0.1', port: 6_881 })
      expect(first[0]?.afterMs).toBeGreaterThanOrEqual(limits.dhtQueryTimeoutMs)
      for (let index = 0; index < 32; index++) {
        await nodeAt(net, fresh(index))
        await ask(fresh(index))
      }
      const [silent, lost] = await ask({ address: '5.9.1.1', port: 6_881 })
      expect(silent).toMatchObject({ kind: 'silent' })
      expect(lost).toMatchObject({ kind: 'lost' })
      for (const heard of [silent, lost]) {
        expect(heard?.afterMs).toBeGreaterThanOrEqual(limits.dhtTimeoutFloorMs)
        expect(heard?.afterMs).toBeLessThan(limits.dhtTimeoutFloorMs + 100)
      }
      const slow = { address: '5.9.2.1', port: 6_881 }
      await nodeAt(net, slow, {
        answer(
          query: Parameters<typeof replyTo>[0],
          node: { id: Buffer; send(bytes: Uint8Array, to: Endpoint): void },
        ) {
          // A second reply to one query is one that nobody asked for.
          for (const ms of [600, 700]) setTimeout(() => node.send(replyTo(query, { id: node.id }), query.from), ms)
          return undefined
        },
      })
      const before = answered.length
      expect(kinds(await ask(slow))).toEqual(['silent', 'lost', 'answer'])
      expect(answered).toHaveLength(before + 1)
    }))

  it('uses an answer from another port, waits on for the node, and takes up neither it nor a liar', () =>
    onNetwork({}, async ({ net, ask, answered, lost, counts }) => {
      const host = net.host(NODE.address)
      const other = await openNode(host, { address: NODE.address, port: 7_000 })
      await openNode(host, {
        ...NODE,
        answer(query) {
          for (let index = 0; index < 5; index++) other.send(replyTo(query, { id: other.id }), query.from)
          return undefined
        },
      })
      const heard = await ask(NODE)
      expect(kinds(heard)).toEqual(['answer', 'silent', 'lost'])
      expect(heard[0]?.outcome).toMatchObject({ otherPort: true, from: { port: 7_000 } })
      expect(counts.get('dht.dropped.wrong-port')).toBe(4)
      const liar = { address: '5.0.0.2', port: 6_881 }
      await nodeAt(net, liar)
      expect((await ask(liar, { expectedId: Buffer.alloc(20, 9) }))[0]?.outcome).toMatchObject({ otherId: true })
      expect(answered).toEqual([])
      expect(lost).toEqual([NODE, liar])
    }))

  it('passes errors on as data, and what is cancelled', () =>
    onNetwork({}, async ({ net, socket, ask }) => {
      await nodeAt(net, NODE, {
        answer(query: Parameters<typeof replyTo>[0], node: { send(bytes: Uint8Array, to: Endpoint): void }) {
          const t = read.bytes(query.message, 't') as Uint8Array
          node.send(encodeBencode({ t, y: 'e', e: [203, 'no'] }), query.from)
          return undefined
        },
      })
      expect((await ask(NODE)).map(({ outcome }) => outcome)).toEqual([{ kind: 'error', code: 203 }])
      const waiting = ask({ address: '5.0.0.7', port: 6_881 })
      await socket.close()
      expect(kinds(await waiting)).toEqual(['cancelled'])
      expect(kinds(await ask(NODE))).toEqual(['unsent'])
    }))

  it('takes on an id that fits its address when three nodes far apart agree on that address (BEP 42)', () =>
    onNetwork({}, async ({ net, socket, ask }) => {
      const claim = async (address: string, seen: string) => {
        const node = await nodeAt(net, { address, port: 6_881 }, { answer: () => undefined })
        const asked = ask({ address, port: 6_881 })
        await pause(30)
        const [query] = node.queries
        const t = read.bytes(query?.message, 't') as Uint8Array
        const ip = encodeCompact({ address: seen, port: 1 })
        node.send(encodeBencode({ ip, t, y: 'r', r: { id: node.id } }), (query as NonNullable<typeof query>).from)
        await asked
      }
      const before = socket.id
      for (const address of ['5.0.0.1', '5.1.0.1', '5.2.0.1']) await claim(address, '9.9.9.9')
      await claim('7.0.0.1', '8.8.8.8')
      await claim('7.0.1.1', '9.9.9.9')
      expect(socket.id).toEqual(before)
      await claim('23.0.0.1', '9.9.9.9')
      expect(socket.id).not.toEqual(before)
      expect(isSecureId(socket.id, '9.9.9.9')).toBe(true)
    }))
})
