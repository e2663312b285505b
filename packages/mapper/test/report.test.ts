/** The report: what is derived from what a round knows. */
import {
  type Channel,
  type Endpoint,
  type InfoHash,
  limits,
  type Observation,
  type ObservationFlag,
  parseTarget,
  type Teller,
  type Visit,
} from '@swarmatlas/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { countPeers, ownEndpoints, reportSwarm, Swarm } from '../src/index.ts'

const HASH = '0123456789abcdef0123456789abcdef01234567' as InfoHash

function swarm(): Swarm {
  return new Swarm(parseTarget(HASH), 1_000)
}

const tellers: Record<'dht' | 'tracker' | 'pex', Teller> = {
  dht: { kind: 'dht-node', id: 'ab'.repeat(20), endpoint: { address: '192.0.2.1', port: 6881 } },
  tracker: { kind: 'tracker', url: 'udp://t.example:80' },
  pex: { kind: 'peer', endpoint: { address: '192.0.2.2', port: 6881 } },
}

function named(peer: Endpoint, channel: Channel, flags: ObservationFlag[] = [], teller?: Teller): Observation {
  return { atMs: 2_000, swarm: HASH, channel, teller: teller ?? tellers[channel as 'dht'], peer, flags }
}

function visited(peer: Endpoint, rest: Partial<Visit> = {}): Visit {
  return {
    atMs: 3_000,
    swarm: HASH,
    peer,
    outcome: 'ok',
    opened: true,
    handshaken: true,
    refuted: false,
    transport: 'tcp',
    encryption: 'plain',
    pexAdded: 0,
    durationMs: 1,
    bytesIn: 0,
    bytesOut: 0,
    ...rest,
  }
}

function report(of: Swarm, isOwn: (endpoint: Endpoint) => boolean = () => false) {
  return reportSwarm(of, { geo: { place: () => null }, endedMs: 4_000, isOwn, traffic: null })
}

const address = '203.0.113.7'
/** 0x1AE1 and 0xE11A. */
const right: Endpoint = { address, port: 6_881 }
const swapped: Endpoint = { address, port: 57_626 }

describe('aliases', () => {
  test.each([
    ['a tracker names the other', (s: Swarm) => void s.observe(named(right, 'tracker'))],
    [
      'the other answered',
      (s: Swarm) => {
        s.observe(named(right, 'dht'))
        s.visited(visited(right))
      },
    ],
  ])('a byte-swapped port that only the DHT names is no peer of its own: %s', (_why, stronger) => {
    const of = swarm()
    of.observe(named(swapped, 'dht'))
    stronger(of)
    const { peers, counts } = report(of)
    expect(peers).toMatchObject([{ ...right, alsoAt: [{ ...swapped, why: 'swapped-port' }] }])
    expect(counts.peers).toBe(1)
  })

  test.each([
    ['nothing speaks for either more', () => {}],
    ['both are named elsewhere', (s: Swarm) => [right, swapped].map((peer) => s.observe(named(peer, 'tracker')))],
    ['both answered', (s: Swarm) => [right, swapped].map((peer) => s.visited(visited(peer)))],
    ['the other has another address', (s: Swarm) => s.observe(named({ ...right, address: '203.0.113.8' }, 'pex'))],
  ])('both stay peers where %s', (_why, more) => {
    const of = swarm()
    of.observe(named(swapped, 'dht'))
    of.observe(named(right, 'dht'))
    more(of)
    expect(report(of).peers.filter((peer) => peer.address === address)).toMatchObject([
      { ...right, alsoAt: [] },
      { ...swapped, alsoAt: [] },
    ])
  })

  test('a port that was swapped back shows its false name', () => {
    const of = swarm()
    of.observe(named(right, 'dht', ['swapped-port']))
    expect(report(of).peers).toMatchObject([
      { ...right, flags: ['swapped-port'], alsoAt: [{ ...swapped, why: 'swapped-port' }] },
    ])
  })

  test('a port that reads the same both ways is no alias of itself', () => {
    const of = swarm()
    of.observe(named({ address, port: 0x1a1a }, 'dht'))
    expect(report(of).peers).toMatchObject([{ port: 0x1a1a, alsoAt: [] }])
  })

  test('property: every endpoint stands in the report once, as a peer or as an alias', () => {
    const endpoint = fc.record({
      address: fc.constantFrom('203.0.113.1', '203.0.113.2', '2001:db8::1'),
      port: fc.constantFrom(6_881, 57_626, 0x1a1a, 1, 256),
    })
    const channel = fc.constantFrom('dht' as const, 'tracker' as const, 'pex' as const)
    fc.assert(
      fc.property(fc.array(fc.record({ endpoint, channel, visit: fc.boolean() })), (facts) => {
        const of = swarm()
        for (const { endpoint, channel, visit } of facts) {
          of.observe(named(endpoint, channel))
          if (visit) of.visited(visited(endpoint))
        }
        const { peers } = report(of)
        const names = peers.flatMap((peer) => [peer, ...peer.alsoAt]).map(({ address, port }) => `${address} ${port}`)
        expect(names.sort()).toEqual([...new Set(facts.map(({ endpoint: e }) => `${e.address} ${e.port}`))].sort())
      }),
    )
  })
})

test('the endpoint that we announced ourselves is left out', () => {
  const of = swarm()
  const own = { address: '198.51.100.9', port: 41_000 }
  of.observe(named(own, 'tracker'))
  of.observe(named({ ...own, port: 41_001 }, 'tracker'))
  of.observe(named(right, 'tracker'))
  of.visited(visited(right, { yourIp: own.address }))
  const left = report(of, ownEndpoints([of], new Set([own.port]), undefined)).peers.map(({ port }) => port)
  expect(left).toEqual([41_001, 6_881])
  expect(ownEndpoints([swarm()], new Set([7]), '192.0.2.5')({ address: '192.0.2.5', port: 7 })).toBe(true)
})

describe('evidence', () => {
  test('all DHT holders count as one teller; many of them do not hide a second channel', () => {
    const of = swarm()
    for (let node = 0; node < limits.tellersPerPeer + 10; node++) {
      const endpoint = { address: `10.0.${node}.1`, port: 6881 }
      of.observe(named(right, 'dht', [], { kind: 'dht-node', id: 'cd'.repeat(20), endpoint }))
    }
    expect(report(of).peers).toMatchObject([{ evidence: 'hearsay', tellers: limits.tellersPerPeer }])
    of.observe(named(right, 'pex'))
    expect(report(of).peers).toMatchObject([{ evidence: 'corroborated', channels: ['dht', 'pex'] }])
  })

  test('what a visit says of transport and encryption is said of open ones only', () => {
    const of = swarm()
    of.observe(named(right, 'dht'))
    of.visited(visited(right, { outcome: 'refused', opened: false, handshaken: false }))
    expect(report(of).peers).toMatchObject([{ transport: null, encryption: null, evidence: 'hearsay' }])
    of.visited(visited(right, { handshaken: false, refuted: true }))
    expect(report(of).peers).toMatchObject([{ transport: 'tcp', encryption: null, evidence: 'refuted' }])
  })

  test('a visit to somebody that nobody named changes nothing', () => {
    const of = swarm()
    of.visited(visited(right))
    expect(report(of).peers).toEqual([])
  })
})

test('partial seeds count as leeches: they lack something', () => {
  const peers = (['seed', 'partial', 'leech', null] as const).map((role) => ({
    role,
    channels: ['dht' as const],
    evidence: 'handshaken' as const,
  }))
  expect(countPeers(peers)).toEqual({
    peers: 4,
    byChannel: { dht: 4 },
    byEvidence: { handshaken: 4 },
    seeds: 1,
    leeches: 2,
    unknownRole: 1,
  })
})
