import {
  countingMeter,
  createAddressPolicy,
  createGate,
  encodeCompact,
  type Gate,
  profiles,
  silentLogger,
} from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { createSimNetwork, leakCheck, withVirtualTime } from '@swarmatlas/testkit'
import { describe, expect, it } from 'vitest'
import { createDhtCrawler } from '../src/index.ts'
import { bootstrapAt, LOOPBACK, never, openNode, startRig } from './rig.ts'

describe('bootstrap', () => {
  it('resolves names, asks every address once, and those that are named; the routers stay out of the table', async () => {
    await withVirtualTime({ seed: 1 }, async () => {
      await using _ = leakCheck()
      const net = createSimNetwork({ seed: 1 })
      const neighbour = await openNode(net.host('5.0.0.9'), { address: '5.0.0.9', port: 6_881 })
      const answer = () => ({ nodes: Buffer.concat([neighbour.id, encodeCompact(neighbour.endpoint)]) })
      const router = await openNode(net.host('5.0.0.1'), { address: '5.0.0.1', port: 6_881, answer })
      net.names.set('router.example', ['2001:db8::1', '5.0.0.1', '5.0.0.2'])
      const bootstrap = [
        { host: 'router.example', port: 6_881 },
        { host: 'gone.example', port: 6_881 },
      ]
      await using rig = await startRig(net.host('6.0.0.1'), { bootstrap })
      const report = await rig.crawler.bootstrap({ signal: never })
      expect(report).toMatchObject({ nodes: 2, routersAsked: 2, routersAnswered: 1 })
      expect(report.problem).toBeUndefined()
      expect(router.queries.map(({ method }) => method)).toEqual(['find_node'])
      expect(neighbour.queries.map(({ method }) => method)).toEqual(['find_node'])
      expect(rig.crawler.nodes()).toEqual([{ id: neighbour.id.toString('hex'), endpoint: neighbour.endpoint }])
    })
  })

  it('asks no router while nodes of the last session answer, and leaves those alone that did not', async () => {
    await withVirtualTime({ seed: 1 }, async () => {
      const net = createSimNetwork({ seed: 1 })
      const router = await openNode(net.host('5.0.0.1'), { address: '5.0.0.1', port: 6_881 })
      const names = Array.from({ length: 10 }, (_, index) => `5.0.2.${index}`)
      const nodes = await Promise.all(names.map((address) => openNode(net.host(address), { address, port: 6_881 })))
      const savedNodes = [...nodes.map(({ endpoint }) => endpoint), { address: '5.0.3.1', port: 6_881 }]
      const first = await startRig(net.host('6.0.0.1'), { bootstrap: bootstrapAt(router), savedNodes })
      await first.crawler.bootstrap({ signal: never })
      await new Promise((wake) => setTimeout(wake, 5_000))
      const state = JSON.parse(JSON.stringify(first.crawler.state()))
      expect(state).toMatchObject({ version: 1, unanswered: [{ endpoint: '5.0.3.1:6881' }] })
      await first.crawler.close()

      state.nodes.push('5.0.3.1:6881', 'rubbish')
      await using rig = await startRig(net.host('6.0.0.1'), { bootstrap: bootstrapAt(router), state })
      expect(await rig.crawler.bootstrap({ signal: never })).toMatchObject({ routersAsked: 0 })
      await new Promise((wake) => setTimeout(wake, 5_000))
      expect(rig.crawler.nodes()).toHaveLength(10)
      expect(net.stats.datagrams.get('5.0.3.1:6881')).toBe(1)
      expect(router.queries).toEqual([])
      expect(rig.crawler.state().ids).toEqual(state.ids)
    })
  })

  it.each([[7], ['x'], [null], [{ version: 2, nodes: 5 }], [{ version: 1, ids: { 4: 'zz' }, unanswered: [{}] }]])(
    'starts afresh with a state of %j',
    async (state) => {
      await using rig = await startRig(nodeHost(), { state })
      expect(rig.crawler.nodes()).toEqual([])
    },
  )

  it('comes back by saved nodes when no router answers', async () => {
    await withVirtualTime({ seed: 1 }, async () => {
      const net = createSimNetwork({ seed: 1 })
      const savedNodes = Array.from({ length: 60 }, (_, index) => ({ address: `5.0.1.${index}`, port: 6_881 }))
      const alive = await openNode(net.host('5.0.1.59'), { address: '5.0.1.59', port: 6_881 })
      const bootstrap = [{ host: '5.0.0.1', port: 6_881 }]
      await using rig = await startRig(net.host('6.0.0.1'), { bootstrap, savedNodes })
      expect(await rig.crawler.bootstrap({ signal: never })).toMatchObject({
        nodes: 1,
        routersAsked: 1,
        routersAnswered: 0,
      })
      expect(rig.crawler.nodes()).toEqual([{ id: alive.id.toString('hex'), endpoint: alive.endpoint }])
    })
  })

  it.each([
    ['no bootstrap node was given', []],
    ['no name resolved', [{ host: 'gone.example', port: 6_881 }]],
    ['nobody answered', [{ host: '5.0.0.1', port: 6_881 }]],
    ['the address policy refused every bootstrap node (address)', [{ host: '10.0.0.1', port: 6_881 }]],
  ])('says: %s', async (problem, bootstrap) => {
    await withVirtualTime({ seed: 1 }, async () => {
      await using _ = leakCheck()
      const net = createSimNetwork({ seed: 1 })
      await using rig = await startRig(net.host('6.0.0.1'), { bootstrap }, { allowPrivate: false })
      expect(await rig.crawler.bootstrap({ signal: never })).toMatchObject({ nodes: 0, problem })
    })
  })

  it('says why nothing could be sent', async () => {
    await withVirtualTime({ seed: 1 }, async () => {
      const net = createSimNetwork({ seed: 1 })
      const host = net.host('6.0.0.1')
      const blocked = {
        ...host,
        udp: {
          open: async (options: Parameters<typeof host.udp.open>[0]) => ({
            ...(await host.udp.open(options)),
            send: () => queueMicrotask(() => options.onError(new Error('send EPERM 5.0.0.1:6881'))),
          }),
        },
      }
      await using rig = await startRig(blocked, { bootstrap: [{ host: '5.0.0.1', port: 6_881 }] })
      expect(await rig.crawler.bootstrap({ signal: never })).toMatchObject({
        problem: 'sending failed: send EPERM 5.0.0.1:6881',
      })
      expect(rig.crawler.sendErrors).toBe(1)
      expect(rig.crawler.lastSendError).toBe('send EPERM 5.0.0.1:6881')
    })
  })

  it('rejects when aborted, and leaves nothing behind when closed meanwhile', async () => {
    await using _ = leakCheck()
    const host = nodeHost()
    await using silent = await openNode(host, { answer: () => undefined })
    await using rig = await startRig(host, { bootstrap: bootstrapAt(silent) })
    const controller = new AbortController()
    const aborted = rig.crawler.bootstrap({ signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(aborted).rejects.toThrow('enough')
    const closed = rig.crawler.bootstrap({ signal: never })
    await rig.crawler.close()
    await expect(closed).rejects.toMatchObject({ code: 'ABORTED' })
  })

  it('names the port that cannot be opened', async () => {
    const host = nodeHost()
    const policy = createAddressPolicy({ clock: host.clock }, { profile: profiles.lab, allowPrivate: true })
    const meter = countingMeter()
    const gate: Gate = createGate({ host, policy, meter }, { bind: LOOPBACK })
    await using other = await openNode(host)
    const { clock, random } = host
    const created = createDhtCrawler(
      { gate, clock, random, logger: silentLogger, meter },
      { bootstrap: [], concurrency: 8, port: other.endpoint.port },
    )
    await expect(created).rejects.toMatchObject({ code: 'NO_NETWORK' })
  })
})

describe('addNode', () => {
  it('keeps a node that answers a ping, and no other', async () => {
    await withVirtualTime({ seed: 1 }, async () => {
      const net = createSimNetwork({ seed: 1 })
      const node = await openNode(net.host('5.0.0.1'), { address: '5.0.0.1', port: 6_881 })
      await using rig = await startRig(net.host('6.0.0.1'))
      rig.crawler.addNode(node.endpoint)
      rig.crawler.addNode({ address: '5.0.0.2', port: 6_881 })
      rig.crawler.addNode({ address: '2001:db8::1', port: 6_881 })
      rig.crawler.addNode({ address: '5.0.0.3', port: 0 })
      await new Promise((wake) => setTimeout(wake, 10_000))
      expect(rig.crawler.nodes()).toEqual([{ id: node.id.toString('hex'), endpoint: node.endpoint }])
    })
  })

  it('pings a bounded number at one time', async () => {
    await withVirtualTime({ seed: 1 }, async () => {
      const net = createSimNetwork({ seed: 1 })
      await using rig = await startRig(net.host('6.0.0.1'))
      for (let index = 0; index < 1_000; index++) rig.crawler.addNode({ address: '5.0.0.1', port: 2_000 + index })
      await new Promise((wake) => setTimeout(wake, 60_000))
      expect(net.stats.datagrams.size).toBeLessThan(100)
      expect(rig.counts.get('dht.capped.pings')).toBeGreaterThan(900)
    })
  })
})
