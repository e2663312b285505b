/** The document of `lookup --json`, checked field by field against what scripts may rely on. */
import { isIPv4, isIPv6 } from 'node:net'
import { canonicalAddress } from '@swarmatlas/core'

type Check = (value: unknown, at: string) => void

const CHANNELS = ['dht', 'tracker', 'pex', 'lsd', 'inbound', 'magnet']
const EVIDENCE = ['hearsay', 'corroborated', 'reachable', 'handshaken', 'role-known', 'refuted']
const OUTCOMES = [
  ...['ok', 'timeout', 'refused', 'reset', 'bad-message', 'over-budget', 'forbidden', 'not-tried'],
  ...['unreachable', 'failure'],
]

function fail(at: string, what: string, value: unknown): never {
  throw new Error(`${at}: ${what}, not ${JSON.stringify(value)}`)
}

function check(what: string, holds: (value: unknown) => boolean): Check {
  return (value, at) => {
    if (!holds(value)) fail(at, what, value)
  }
}

const text = check('a string', (value) => typeof value === 'string')
const flag = check('a boolean', (value) => typeof value === 'boolean')
const whole = check('a whole number', (value) => Number.isInteger(value) && (value as number) >= 0)
const finite = check('a number', (value) => Number.isFinite(value))
const share = check('0..1', (value) => typeof value === 'number' && value >= 0 && value <= 1)
const unixMs = check(
  'Unix milliseconds',
  (value) => Number.isInteger(value) && Math.abs(Number(value) - Date.now()) < 6e5,
)
const address = check('a canonical address', (value) => {
  return typeof value === 'string' && (isIPv4(value) || isIPv6(value)) && canonicalAddress(value) === value
})
const endpoint = check('address:port', (value) => /^(\[[0-9a-f:]+\]|[\d.]+):\d+$/.test(String(value)))
const hex = (digits: number) =>
  check(`${digits} hex digits`, (value) => new RegExp(`^[0-9a-f]{${digits}}$`).test(String(value)))
const oneOf = (values: readonly string[]) => check(`one of ${values}`, (value) => values.includes(value as string))

function orNull(inner: Check): Check {
  return (value, at) => {
    if (value !== null) inner(value, at)
  }
}

function listOf(inner: Check): Check {
  return (value, at) => {
    if (!Array.isArray(value)) fail(at, 'a list', value)
    value.forEach((item, i) => {
      inner(item, `${at}[${i}]`)
    })
  }
}

function mapOf(key: Check, inner: Check): Check {
  return (value, at) => {
    for (const [name, item] of Object.entries(value as object)) {
      key(name, at)
      inner(item, `${at}.${name}`)
    }
  }
}

/** Every field named must be there; a key with `?` may be absent. Further fields may be added. */
function shape(fields: Readonly<Record<string, Check>>): Check {
  return (value, at) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) fail(at, 'an object', value)
    for (const [name, inner] of Object.entries(fields)) {
      const key = name.replace('?', '')
      const item = (value as Record<string, unknown>)[key]
      if (item === undefined && name.endsWith('?')) continue
      if (item === undefined) fail(`${at}.${key}`, 'must be there', value)
      inner(item, `${at}.${key}`)
    }
  }
}

const place = shape({
  country: orNull(check('a country code', (value) => /^[A-Z]{2}$/.test(String(value)))),
  city: orNull(text),
  lat: orNull(finite),
  lon: orNull(finite),
  radiusKm: orNull(finite),
  asn: orNull(whole),
  asName: orNull(text),
})

export const peerShape: Check = shape({
  address,
  port: whole,
  peerId: orNull(hex(40)),
  flags: listOf(text),
  alsoAt: listOf(shape({ address, port: whole, why: oneOf(['swapped-port', 'source-port']) })),
  channels: listOf(oneOf(CHANNELS)),
  tellers: whole,
  evidence: oneOf(EVIDENCE),
  sameAs: listOf(shape({ address, port: whole, confidence: share })),
  inbound: flag,
  role: orNull(oneOf(['seed', 'leech', 'partial'])),
  progress: orNull(share),
  client: orNull(text),
  transport: orNull(oneOf(['tcp', 'utp'])),
  encryption: orNull(oneOf(['plain', 'mse'])),
  firstSeenMs: unixMs,
  lastSeenMs: unixMs,
  lastOutcome: oneOf(OUTCOMES),
  place: orNull(place),
})

const swarm = shape({
  target: text,
  startedMs: unixMs,
  infoHash: hex(40),
  infoHashV2: orNull(hex(64)),
  private: flag,
  metadata: orNull(
    shape({
      name: text,
      totalBytes: whole,
      pieceLength: whole,
      files: listOf(shape({ path: text, bytes: whole })),
      from: orNull(endpoint),
      afterMs: whole,
    }),
  ),
  'metadataError?': shape({ code: text, message: text }),
  peers: listOf(peerShape),
  counts: shape({
    peers: whole,
    byChannel: mapOf(oneOf(CHANNELS), whole),
    byEvidence: mapOf(oneOf(EVIDENCE), whole),
    seeds: whole,
    leeches: whole,
    unknownRole: whole,
  }),
  trackers: listOf(
    shape({
      url: text,
      outcome: oneOf(OUTCOMES),
      'seeds?': whole,
      'leeches?': whole,
      peers: whole,
      'intervalS?': whole,
    }),
  ),
  completeness: shape({ seen: whole, 'why?': text }),
  traffic: orNull(shape({ bytesIn: whole, bytesOut: whole, byChannel: mapOf(text, shape({})) })),
  elapsedMs: whole,
  gaps: listOf(shape({})),
})

/** Throws naming the field that is not as promised. */
// biome-ignore lint/suspicious/noExplicitAny: what was checked is read freely by the tests
export function checkedSwarm(document: unknown): any {
  swarm(document, 'swarm')
  const { metadata, metadataError, peers, counts, startedMs, elapsedMs } = document as {
    metadata: unknown
    metadataError: unknown
    peers: { address: string; port: number; role: string | null; firstSeenMs: number; lastSeenMs: number }[]
    counts: { peers: number; seeds: number; leeches: number; unknownRole: number }
    startedMs: number
    elapsedMs: number
  }
  if ((metadata === null) !== (metadataError !== undefined))
    fail('metadataError', 'there when metadata is null', metadataError)
  const order = peers.map((peer) => sortKey(peer))
  if (`${order}` !== `${order.toSorted()}`) fail('peers', 'sorted by address and port', order)
  if (new Set(order).size !== order.length) fail('peers', 'each once', order)
  if (counts.peers !== peers.length) fail('counts.peers', 'how many peers there are', counts.peers)
  if (counts.seeds + counts.leeches + counts.unknownRole !== counts.peers) fail('counts', 'adding up', counts)
  for (const { firstSeenMs, lastSeenMs } of peers) {
    if (firstSeenMs < startedMs || lastSeenMs < firstSeenMs || lastSeenMs > startedMs + elapsedMs + 1) {
      fail('peers', 'seen between start and end', { startedMs, firstSeenMs, lastSeenMs, elapsedMs })
    }
  }
  return document
}

function sortKey({ address: text, port }: { address: string; port: number }): string {
  const groups = text.includes(':') ? [text] : text.split('.').map((part) => part.padStart(3, '0'))
  return `${text.includes(':') ? 6 : 4} ${groups.join('.')} ${String(port).padStart(5, '0')}`
}
