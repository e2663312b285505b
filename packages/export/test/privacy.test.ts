import { join } from 'node:path'
import { addressBytes, type Endpoint, encodeCompact } from '@swarmatlas/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formats } from '../src/index.ts'
import { exportTo, filesIn, linesOf, makeFolder } from './folder.ts'
import { endpointsOf, graphOf, hostileGraph, peerOf, placeOf, pseudonyms } from './graph.ts'

interface PeerRow {
  swarm: string
  peer: string
  country: string | null
  asn: number | null
  client: string | null
  generalised: string
  evidence: string
  prefix?: string | null
  address?: string | null
  port?: number | null
  peerId?: string | null
}
interface EdgeRow {
  teller: string
  tellerKind: string
  peer: string
}

/** The forms in which an address may hide. */
function formsOf(endpoint: Endpoint): Buffer[] {
  const { address } = endpoint
  const bytes = Buffer.from(addressBytes(address))
  const number = bytes.length === 4 ? [String(bytes.readUInt32BE(0))] : []
  const texts = [
    address,
    ...number,
    bytes.toString('hex'),
    bytes.toString('base64').slice(0, -2),
    address.replaceAll('.', '-'),
  ]
  return [
    ...texts.flatMap((text) => [Buffer.from(text), Buffer.from(text, 'utf16le')]),
    Buffer.from(encodeCompact(endpoint)),
    Buffer.from(bytes).reverse(),
    bytes,
  ]
}

test.each(formats)('nothing in a default export in %s is an address, a secret or a path', async (format) => {
  const folder = makeFolder()
  const { view, secrets, endpoints } = hostileGraph()
  await exportTo(folder, view, { format })
  const files = filesIn(folder)
  expect(files.size).toBeGreaterThan(1)
  for (const [name, content] of files) {
    for (const secret of secrets) expect(content.includes(secret), `${secret} in ${name}`).toBe(false)
    for (const endpoint of endpoints) {
      for (const form of formsOf(endpoint)) {
        expect(content.includes(form), `${endpoint.address} as ${form.toString('hex')} in ${name}`).toBe(false)
      }
    }
  }
})

test.each(formats)('that search finds the addresses of a raw export in %s', async (format) => {
  const folder = makeFolder()
  const { view, endpoints } = hostileGraph()
  await exportTo(folder, view, { format, detail: 'addresses' })
  const all = Buffer.concat([...filesIn(folder).values()])
  const [first] = endpoints as [Endpoint]
  // A map has no addresses, whatever is asked for.
  expect(all.includes(first.address)).toBe(format !== 'geojson')
})

test('exports peers that shook hands, and what was said of them, unless more is asked for', async () => {
  const folder = makeFolder()
  const { view } = hostileGraph()
  await exportTo(join(folder, 'default'), view, { format: 'ndjson' })
  await exportTo(join(folder, 'all'), view, { format: 'ndjson', evidence: 'hearsay' })
  const peers = linesOf<PeerRow>(join(folder, 'default/peers.ndjson'))
  expect(peers).toHaveLength(9)
  expect(new Set(peers.map(({ evidence }) => evidence))).toEqual(new Set(['role-known']))
  const names = new Set(peers.map(({ peer }) => peer))
  const edges = linesOf<EdgeRow>(join(folder, 'default/edges.ndjson'))
  expect(edges).toHaveLength(9 * 7)
  expect(edges.every(({ peer }) => names.has(peer))).toBe(true)
  expect(linesOf(join(folder, 'all/peers.ndjson'))).toHaveLength(10)
  expect(linesOf(join(folder, 'all/edges.ndjson'))).toHaveLength(70)
})

test('a peer keeps its pseudonym when it tells of others, and in every swarm', async () => {
  const folder = makeFolder()
  const { view, endpoints } = hostileGraph()
  await exportTo(folder, view, { format: 'ndjson' })
  const [first] = endpoints as [Endpoint]
  const name = pseudonyms.ofEndpoint(first)
  const peers = linesOf<PeerRow>(join(folder, 'peers.ndjson'))
  expect(new Set(peers.filter(({ peer }) => peer === name).map(({ swarm }) => swarm)).size).toBe(2)
  const edges = linesOf<EdgeRow>(join(folder, 'edges.ndjson'))
  expect(new Set(edges.filter(({ teller }) => teller === name).map(({ tellerKind }) => tellerKind))).toEqual(
    new Set(['peer']),
  )
})

test('DHT nodes go by pseudonyms, trackers by URLs without secrets and addresses', async () => {
  const folder = makeFolder()
  await exportTo(folder, hostileGraph().view, { format: 'ndjson' })
  const tellers = new Map(
    linesOf<EdgeRow>(join(folder, 'edges.ndjson')).map(({ teller, tellerKind }) => [teller, tellerKind]),
  )
  const of = (kind: string) => [...tellers].filter(([, other]) => other === kind).map(([teller]) => teller)
  expect(of('dht-node')).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/)])
  expect(of('tracker').sort()).toEqual([
    expect.stringMatching(/^http:\/\/address-[0-9a-f]{32}:6969\/announce$/),
    'https://tracker.example/…/announce?passkey=…',
    expect.stringMatching(/^udp:\/\/address-[0-9a-f]{32}:6969\/announce$/),
  ])
  expect(of('self')).toEqual(['self'])
})

test('--research gives networks of /24 and /48, and never an address', async () => {
  const folder = makeFolder()
  const { view, endpoints } = hostileGraph()
  await exportTo(folder, view, { format: 'ndjson', detail: 'prefixes' })
  const peers = linesOf<PeerRow>(join(folder, 'peers.ndjson'))
  expect(new Set(peers.map(({ prefix }) => prefix))).toEqual(new Set(['198.51.100.0/24', '2001:db8:77::/48']))
  const all = Buffer.concat([...filesIn(folder).values()]).toString()
  for (const { address } of endpoints) expect(all).not.toContain(`"${address}"`)
  expect(all).not.toContain('203.0.113.42')
})

test('raw addresses stand in columns of their own, and no pseudonym stands beside them', async () => {
  const folder = makeFolder()
  const { view, endpoints } = hostileGraph()
  await exportTo(folder, view, { format: 'ndjson', detail: 'addresses' })
  const peers = linesOf<PeerRow>(join(folder, 'peers.ndjson'))
  expect(peers[0]).toMatchObject({ address: '198.51.100.1', port: 51_000, peer: '198.51.100.1:51000' })
  const all = Buffer.concat([...filesIn(folder).values()]).toString()
  for (const endpoint of endpoints) expect(all).not.toContain(pseudonyms.ofEndpoint(endpoint))
  expect(all).not.toContain('0123456789abcdef0123456789abcdef')
})

test('an address that has expired is a pseudonym everywhere, with and without --raw-addresses', async () => {
  const folder = makeFolder()
  const [endpoint] = endpointsOf(1) as [Endpoint]
  const peer = { ...peerOf({ endpoint }), endpoint: null }
  await exportTo(folder, graphOf({ peers: [peer] }), { format: 'ndjson', detail: 'addresses' })
  expect(linesOf<PeerRow>(join(folder, 'peers.ndjson'))).toMatchObject([
    { peer: pseudonyms.ofEndpoint(endpoint), address: null, port: null, prefix: null },
  ])
})

test('whoever the peers are, five hosts share what is shown of one, or all show nothing', async () => {
  const spec = fc.record({
    host: fc.integer({ min: 1, max: 40 }),
    port: fc.integer({ min: 1024, max: 1030 }),
    country: fc.constantFrom('FR', 'DE', 'LI'),
    asn: fc.constantFrom(1, 2, null),
    client: fc.constantFrom('qBittorrent/4.6.5', 'Transmission 4.0.5', undefined),
  })
  const folder = makeFolder()
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(spec, { maxLength: 60, selector: ({ host, port }) => `${host}:${port}` }),
      async (specs) => {
        const hostOf = new Map<string, number>()
        const peers = specs.map(({ host, port, country, asn, client }) => {
          const endpoint = { address: `198.51.100.${host}`, port }
          hostOf.set(pseudonyms.ofEndpoint(endpoint), host)
          return peerOf({ endpoint, place: placeOf(country, asn), ...(client === undefined ? {} : { client }) })
        })
        await exportTo(folder, graphOf({ peers }), { format: 'ndjson' })
        const classes = new Map<string, Set<number>>()
        for (const row of linesOf<PeerRow>(join(folder, 'peers.ndjson'))) {
          const seen = JSON.stringify([row.country, row.asn, row.client, row.generalised])
          classes.set(seen, (classes.get(seen) ?? new Set()).add(hostOf.get(row.peer) as number))
        }
        const small = [...classes].filter(([, hosts]) => hosts.size < 5)
        if (small.length > 0) expect([...classes.keys()]).toEqual(['[null,null,null,"all"]'])
      },
    ),
    { numRuns: 60 },
  )
})

test('a map shows a city to five hosts, and counts fewer by country or as nowhere', async () => {
  const folder = makeFolder()
  const peers = [
    ...endpointsOf(6).map((endpoint) => peerOf({ endpoint, place: placeOf('FR', 1, 'Paris'), role: 'seed' })),
    ...endpointsOf(2, '203.0.113').map((endpoint) => peerOf({ endpoint, place: placeOf('FR', 1, 'Vaduz') })),
    ...endpointsOf(5, '192.0.2').map((endpoint) => peerOf({ endpoint, place: placeOf('FR', 1) })),
  ]
  const { main } = await exportTo(folder, graphOf({ peers }), { format: 'geojson' })
  const { features } = JSON.parse((filesIn(folder).get('places.geojson') as Buffer).toString())
  expect(main).toBe(join(folder, 'places.geojson'))
  const counts = features.map(({ geometry, properties }: { geometry: unknown; properties: { peers: number } }) => [
    geometry === null ? null : (geometry as { coordinates: number[] }).coordinates,
    properties.peers,
  ])
  expect(counts.reduce((sum: number, [, n]: [unknown, number]) => sum + n, 0)).toBe(13)
  expect(JSON.stringify(features)).not.toContain('Vaduz')
  expect(features.every(({ properties }: { properties: { peers: number } }) => properties.peers >= 5)).toBe(true)
})
