import { describe, expect, it } from 'vitest'
import {
  type Channel,
  evidenceOf,
  isCorroborated,
  parseEndpoint,
  type Teller,
  type VisitProof,
  type Witness,
} from '../src/index.ts'

const at = (text: string) => parseEndpoint(text) as { address: string; port: number }
const pex = (from: string, asn?: number): Witness => ({
  channel: 'pex',
  teller: { kind: 'peer', endpoint: at(from) },
  ...(asn === undefined ? {} : { asn }),
})
const dht = (from: string): Witness => ({
  channel: 'dht',
  teller: { kind: 'dht-node', id: '0'.repeat(40), endpoint: at(from) },
})
const tracker = (url: string): Witness => ({ channel: 'tracker', teller: { kind: 'tracker', url } })
const self = (channel: Channel): Witness => ({ channel, teller: { kind: 'self' } satisfies Teller })
const visit = (proof: Partial<VisitProof>): VisitProof => ({
  opened: false,
  handshaken: false,
  refuted: false,
  ...proof,
})

describe('corroborated', () => {
  it.each<[string, boolean, Witness[]]>([
    ['nobody', false, []],
    ['one teller', false, [pex('1.2.3.4:1')]],
    ['two channels', true, [pex('1.2.3.4:1'), dht('1.2.3.4:1')]],
    ['the magnet and a tracker', true, [self('magnet'), tracker('udp://a:1')]],
    ['two peers in different /24s', true, [pex('1.2.3.4:1'), pex('1.2.4.4:1')]],
    ['two peers in one /24', false, [pex('1.2.3.4:1'), pex('1.2.3.5:1')]],
    ['two peers in one /48', false, [pex('[2001:db8:1:1::1]:1'), pex('[2001:db8:1:2::1]:1')]],
    ['two peers in different /48s', true, [pex('[2001:db8:1::1]:1'), pex('[2001:db8:2::1]:1')]],
    ['two /24s of one autonomous system', false, [pex('1.2.3.4:1', 64500), pex('1.2.4.4:1', 64500)]],
    ['two /24s of two autonomous systems', true, [pex('1.2.3.4:1', 64500), pex('1.2.4.4:1', 64501)]],
    ['two /24s, one system unknown', true, [pex('1.2.3.4:1', 64500), pex('1.2.4.4:1')]],
    [
      'three peers of which the outer two differ',
      true,
      [pex('1.2.3.4:1', 1), pex('1.2.4.4:1', 1), pex('1.2.5.4:1', 2)],
    ],
    ['many DHT holders', false, [dht('1.2.3.4:1'), dht('5.6.7.8:1'), dht('9.9.9.9:1')]],
    ['two trackers', true, [tracker('udp://a.example:1/announce'), tracker('udp://b.example:1/announce')]],
    ['one tracker over two protocols', false, [tracker('udp://A.example:1'), tracker('http://a.example:80/announce')]],
  ])('%s: %s', (_, corroborated, witnesses) => {
    expect(isCorroborated(witnesses)).toBe(corroborated)
    expect(isCorroborated([...witnesses].reverse())).toBe(corroborated)
    expect(evidenceOf(witnesses, [])).toBe(corroborated ? 'corroborated' : 'hearsay')
  })
})

describe('visits', () => {
  const both = [pex('1.2.3.4:1'), dht('5.6.7.8:1')]
  it.each<[string, VisitProof[]]>([
    ['corroborated', []],
    ['corroborated', [visit({})]],
    ['reachable', [visit({ opened: true })]],
    ['refuted', [visit({ opened: true, refuted: true })]],
    ['handshaken', [visit({ opened: true, handshaken: true })]],
    ['role-known', [visit({ opened: true, handshaken: true, role: 'leech' })]],
    // What once proved itself is not unmade by a peer that is full, or gone, the next time.
    ['handshaken', [visit({ opened: true, handshaken: true }), visit({ opened: true, refuted: true })]],
    [
      'role-known',
      [visit({ opened: true, handshaken: true }), visit({ opened: true, handshaken: true, role: 'seed' })],
    ],
    ['refuted', [visit({ opened: true }), visit({ opened: true, refuted: true })]],
  ])('%s', (evidence, visits) => {
    expect(evidenceOf(both, visits)).toBe(evidence)
    expect(evidenceOf(both, [...visits].reverse())).toBe(evidence)
  })
})
