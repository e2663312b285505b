/** What anybody may send us, as real datagrams to the whole stack on loopback, or under the strict policy in memory. */
import {
  type Encodable,
  type Endpoint,
  encodeBencode,
  encodeCompact,
  infoHashBytes,
  limits,
  profiles,
} from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import { createSimNetwork, leakCheck, withVirtualTime } from '@swarmatlas/testkit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  bootstrapAt,
  HASH,
  holds,
  LOOPBACK,
  named,
  never,
  observe,
  openNode,
  peersOf,
  type Rig,
  replyTo,
  type ScriptedNode,
  startRig,
} from './rig.ts'

const ID = Buffer.alloc(20, 0x41)
const query = (q: string, a: { [key: string]: Encodable }, more: { [key: string]: Encodable } = {}) =>
  encodeBencode({ t: 'aa', y: 'q', q, a: { id: ID, ...a }, ...more })

/** A node in the table of a crawler whose port is known from the node's first query. */
async function startTarget(): Promise<Rig & { node: ScriptedNode; at: Endpoint }> {
  const host = nodeHost()
  const node = await openNode(host, { answer: holds(encodeCompact({ address: LOOPBACK, port: 4_001 })) })
  const rig = await startRig(host, { bootstrap: bootstrapAt(node) })
  await rig.crawler.bootstrap({ signal: never })
  const at = { address: LOOPBACK, port: node.queries[0]?.from.port as number }
  return {
    ...rig,
    node,
    at,
    async [Symbol.asyncDispose]() {
      await rig.crawler.close()
      await node[Symbol.asyncDispose]()
    },
  }
}

/** A lookup still works: what came before it on the same path has been dealt with. */
async function expectAlive({ crawler }: Rig): Promise<void> {
  expect(peersOf(await observe(crawler))).toEqual(new Set(['127.0.0.1:4001']))
}

describe('one packet', () => {
  it.each<[string, Uint8Array]>([
    ['get_peers with a number as info_hash', query('get_peers', { info_hash: 5 })],
    ['find_node with a number as target', query('find_node', { target: 7 })],
    ['get with a dictionary as target', query('get', { target: {} })],
    ['announce_peer with a number as token', query('announce_peer', { info_hash: ID, port: 1, token: 5 })],
    ['put with a number as v', query('put', { token: ID, v: 5 })],
    ['an empty datagram', new Uint8Array()],
    ['a datagram above the cap', Buffer.alloc(limits.krpcMessageBytes + 1, 'd')],
    ['a thousand nested lists', Buffer.alloc(1_000, 'l')],
  ])('crashes nothing: %s', async (_, packet) => {
    await using target = await startTarget()
    target.node.send(packet, target.at)
    await expectAlive(target)
    expect(target.node.replies).toEqual([])
  })
})

describe('what nobody asked for', () => {
  it('moves neither table nor tongue: replies, pings with and without ro', async () => {
    await using target = await startTarget()
    const before = target.crawler.nodes()
    for (let index = 0; index < 100; index++) {
      const id = Buffer.alloc(20, index)
      const t = Buffer.from([0, 0, 0, index])
      target.node.send(encodeBencode({ t, y: 'r', r: { id } }), target.at)
      target.node.send(encodeBencode({ t, y: 'q', q: 'ping', a: { id } }), target.at)
      target.node.send(encodeBencode({ t, y: 'q', q: 'ping', a: { id }, ro: 1 }), target.at)
    }
    await expectAlive(target)
    expect(target.crawler.nodes()).toEqual(before)
    expect(target.node.replies).toEqual([])
    expect(target.counts.get('dht.dropped.unsolicited')).toBe(100)
    expect(target.counts.get('dht.dropped.query')).toBe(200)
  })

  it('is flagged when it comes from another port, dropped when it has another transaction id', async () => {
    const host = nodeHost()
    await using stranger = await openNode(host)
    const forged = { values: [encodeCompact({ address: LOOPBACK, port: 666 })] }
    await using node = await openNode(host, {
      answer(received, self) {
        if (received.method !== 'get_peers') return {}
        stranger.send(replyTo(received, { id: self.id, ...forged }), received.from)
        self.send(encodeBencode({ t: 'zzzz', y: 'r', r: { id: self.id, ...forged } }), received.from)
        return { values: [encodeCompact({ address: LOOPBACK, port: 4_001 })] }
      },
    })
    await using rig = await startRig(host, { bootstrap: bootstrapAt(node) })
    await rig.crawler.bootstrap({ signal: never })
    const observations = await observe(rig.crawler)
    expect(observations.map(({ peer, flags }) => [peer.port, ...flags]).sort()).toEqual([[4_001], [666, 'other-port']])
    expect(rig.crawler.nodes()).toEqual([])
    expect(rig.counts.get('dht.dropped.unsolicited')).toBe(1)
  })

  it('never throws: some thousand random and mutated datagrams, also as answers', async () => {
    const host = nodeHost()
    const templates = [
      query('get_peers', { info_hash: ID }),
      query('announce_peer', { info_hash: ID, port: 1, token: 'x' }),
      encodeBencode({ t: 'aaaa', y: 'r', r: { id: ID, nodes: new Uint8Array(26), values: [new Uint8Array(6)] } }),
      encodeBencode({ t: 'aaaa', y: 'e', e: [203, 'x'] }),
    ]
    const mutant = fc
      .tuple(fc.constantFrom(...templates), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }))
      .map(([template, changes]) => {
        const copy = Uint8Array.from(template)
        for (const [at, byte] of changes) copy[at % copy.length] = byte
        return copy
      })
    const packets = fc.sample(fc.oneof(mutant, fc.uint8Array({ maxLength: 300 })), { numRuns: 3_000, seed: 1 })
    await using node = await openNode(host, {
      answer(received, self) {
        if (received.method !== 'get_peers') return {}
        // Valid but for what was mutated: the transaction id is the one we were asked with.
        for (const packet of packets.splice(0, 1_000)) {
          self.send(packet, received.from)
          const bytes = Buffer.from(packet)
          const at = bytes.indexOf('1:t4:')
          const tid = received.message.get('t') as Uint8Array
          if (at >= 0 && at + 9 <= bytes.length) bytes.set(tid, at + 5)
          self.send(bytes, received.from)
        }
        return { values: [encodeCompact({ address: LOOPBACK, port: 4_001 })] }
      },
    })
    await using rig = await startRig(host, { bootstrap: bootstrapAt(node) })
    await rig.crawler.bootstrap({ signal: never })
    while (packets.length > 0) {
      await observe(rig.crawler)
      // A mutant may have answered in the node's place and put it out of the table.
      if (rig.crawler.nodes().length === 0) await rig.crawler.bootstrap({ signal: never })
    }
    expect(rig.counts.get('dht.dropped.malformed')).toBeGreaterThan(1_000)
  })
})

describe('values', () => {
  async function told(values: Uint8Array[], version?: Uint8Array) {
    const host = nodeHost()
    await using node = await openNode(host, { answer: holds(...values), ...(version && { version }) })
    await using rig = await startRig(host, { bootstrap: bootstrapAt(node) })
    await rig.crawler.bootstrap({ signal: never })
    const observations = await observe(rig.crawler)
    return { observations, node, counts: rig.counts }
  }

  it('keeps what stands beside a short entry', async () => {
    const good = [1, 2, 3].map((last) => encodeCompact({ address: `192.0.2.${last}`, port: 6_881 }))
    const { observations } = await told([good[0] as Uint8Array, Buffer.from('short'), ...good.slice(1)])
    expect(peersOf(observations)).toEqual(new Set(['192.0.2.1:6881', '192.0.2.2:6881', '192.0.2.3:6881']))
  })

  it('makes no IPv4 peer of an IPv6 one', async () => {
    const { observations } = await told([encodeCompact({ address: '2001:db8::1', port: 6_881 })])
    expect(peersOf(observations)).toEqual(new Set(['[2001:db8::1]:6881']))
  })

  it('gives out port 0, flagged', async () => {
    const { observations } = await told([encodeCompact({ address: '192.0.2.1', port: 0 })])
    expect(observations).toMatchObject([{ peer: { address: '192.0.2.1', port: 0 }, flags: ['suspect-port'] }])
  })

  it('swaps the ports of rTorrent back, and says so', async () => {
    const version = Buffer.from('lt\x0d\x80', 'latin1')
    const { observations } = await told([encodeCompact({ address: '192.0.2.1', port: 0xe11a })], version)
    expect(observations).toMatchObject([{ peer: { address: '192.0.2.1', port: 6_881 }, flags: ['swapped-port'] }])
    const { observations: others } = await told(
      [encodeCompact({ address: '192.0.2.1', port: 6_881 })],
      Buffer.from('LT\x01\x02', 'latin1'),
    )
    expect(others).toMatchObject([{ peer: { port: 6_881 }, flags: [] }])
  })

  it('drops addresses where no peer can be', async () => {
    const bogons = ['0.0.0.0', '224.0.0.1', '255.255.255.255'].map((address) => encodeCompact({ address, port: 6_881 }))
    const { observations, counts } = await told(bogons)
    expect(observations).toEqual([])
    expect(counts.get('dht.value.address')).toBe(3)
  })
})

describe('the strict policy', () => {
  it('sends nothing to private, multicast, broadcast, low or service ports, and little to one victim', async () => {
    await withVirtualTime({ seed: 1 }, async () => {
      await using _ = leakCheck()
      const net = createSimNetwork({ seed: 1 })
      const forbidden: Endpoint[] = [
        ...['10.0.0.1', '192.168.1.1', '127.0.0.1', '169.254.0.1', '100.64.0.1', '0.0.0.0'],
        ...['224.0.0.1', '239.1.2.3', '255.255.255.255'],
      ].map((address) => ({ address, port: 6_881 }))
      for (const port of [53, 123, 1_900, 11_211, 80]) forbidden.push({ address: '5.5.5.5', port })
      const oneVictim = Array.from({ length: 200 }, (_, index) => ({ address: '7.7.7.7', port: 2_000 + index }))
      const lies = [...forbidden, ...oneVictim]
      let at = 0
      await using liar = await openNode(net.host('5.0.0.1'), {
        address: '5.0.0.1',
        port: 6_881,
        answer({ method }) {
          if (method === 'ping') return {}
          const nodes = named(lies.slice(at, at + 8), infoHashBytes(HASH))
          at = (at + 8) % lies.length
          return { nodes }
        },
      })
      const host = net.host('5.0.0.2')
      await using rig = await startRig(host, { bootstrap: bootstrapAt(liar) }, { profile: 'aws', allowPrivate: false })
      await rig.crawler.bootstrap({ signal: never })
      for (let pass = 0; pass < 60; pass++) await observe(rig.crawler)
      for (const { address, port } of lies) rig.crawler.addNode({ address, port })
      await observe(rig.crawler)

      const asked = [...net.stats.datagrams.keys()]
      expect(liar.queries.length).toBeGreaterThan(50)
      expect(asked.filter((key) => key.startsWith('7.7.7.7:'))).toHaveLength(profiles.aws.portsPerAddress)
      const others = asked.filter((key) => !key.startsWith('7.7.7.7:') && !key.startsWith('5.0.0.'))
      expect(others).toEqual([])
    })
  })

  it('lets forbidden addresses take no places among the nearest', async () => {
    await withVirtualTime({ seed: 2 }, async () => {
      const net = createSimNetwork({ seed: 2 })
      const peer = encodeCompact({ address: '8.8.4.4', port: 6_881 })
      const holder = await openNode(net.host('5.0.0.3'), { address: '5.0.0.3', port: 6_881, answer: holds(peer) })
      const lies = Array.from({ length: 30 }, (_, index) => ({ address: `10.0.0.${index}`, port: 6_881 }))
      const nodes = Buffer.concat([named(lies, infoHashBytes(HASH)), ...[holder.id, encodeCompact(holder.endpoint)]])
      const answer = () => ({ nodes })
      const liar = await openNode(net.host('5.0.0.1'), { address: '5.0.0.1', port: 6_881, answer })
      const host = net.host('5.0.0.2')
      await using rig = await startRig(host, { bootstrap: bootstrapAt(liar) }, { profile: 'aws', allowPrivate: false })
      await rig.crawler.bootstrap({ signal: never })
      expect(peersOf(await observe(rig.crawler))).toEqual(new Set(['8.8.4.4:6881']))
    })
  })
})
