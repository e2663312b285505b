/** The options that mean the same on every command, validated once, here. */
import {
  canonicalAddress,
  defaultBootstrap,
  familyOf,
  type HostPort,
  limits,
  type Profile,
  type ProfileName,
  parseHostPort,
  profiles,
  SwarmatlasError,
} from '@swarmatlas/core'
import type { Depth, MapperChannel } from '@swarmatlas/mapper'
import { type Command, Option } from 'commander'
import { defaultStoreDir } from './directories.ts'
import { type LogLevel, logLevels } from './logger.ts'

const mapperChannels = ['dht', 'tracker', 'pex'] as const

function bad(message: string, hint?: string): SwarmatlasError {
  return new SwarmatlasError('BAD_OPTION', message, hint === undefined ? {} : { hint })
}

function parseChannels(text: string): MapperChannel[] {
  const names = text.split(',').map((name) => name.trim())
  for (const name of names) {
    if (!mapperChannels.includes(name as MapperChannel)) {
      throw bad(`--channels: no channel is called "${name}"`, `channels are ${mapperChannels.join(', ')}`)
    }
  }
  return mapperChannels.filter((channel) => names.includes(channel))
}

function parseBootstrap(text: string): HostPort[] {
  return text.split(',').map((part) => {
    const found = parseHostPort(part)
    if (found === undefined)
      throw bad(`--bootstrap: "${part}" is no host:port`, 'for example 192.0.2.1:6881 or [2001:db8::1]:6881')
    return found
  })
}

/** `90s`, `2m`, `1h`, `500ms`; a bare number is seconds. Milliseconds. */
function parseDuration(name: string): (text: string) => number {
  return (text) => {
    const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text.trim())
    const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[match?.[2] ?? 's'] as number
    const ms = Number(match?.[1]) * unitMs
    if (match === null || ms <= 0) throw bad(`--${name}: "${text}" is no duration`, 'for example 60s, 2m or 1h')
    return ms
  }
}

function parseStay(text: string): number {
  const ms = parseDuration('stay')(text)
  if (ms > limits.sessionStayCeilingMs) {
    throw bad(`--stay: at most ${limits.sessionStayCeilingMs / 1000}s`, 'a held session takes a real client’s place')
  }
  return ms
}

function parseListen(text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port < 1_024 || port > 65_535)
    throw bad(`--listen: "${text}" is no port from 1024 to 65535`)
  return port
}

function parseBind(text: string): string {
  const address = canonicalAddress(text)
  if (address === undefined) throw bad(`--bind: "${text}" is no IP address`)
  return address
}

export interface NetworkOptions {
  bootstrap: HostPort[]
  channels: MapperChannel[]
  depth: Depth
  deadline?: number
  stay: number
  profile: ProfileName
  bind?: string
  ipv4?: boolean
  ipv6?: boolean
  announce: boolean
  privateOk?: boolean
  allowPrivate?: boolean
  optOut?: string
  blocklist?: string
  listen?: number
  logLevel: LogLevel
}

export interface OutputOptions {
  json?: boolean
  ndjson?: boolean
}

/** The options of commands that go out on the network. */
export function addNetworkOptions(command: Command, defaults: { depth: Depth; deadline?: string }): Command {
  const deadline = new Option('--deadline <time>', 'end after this long with what is known (60s, 2m)').argParser(
    parseDuration('deadline'),
  )
  if (defaults.deadline !== undefined) deadline.default(parseDuration('deadline')(defaults.deadline), defaults.deadline)
  return command
    .addOption(
      new Option('--channels <list>', 'where to look: dht, tracker, pex; peers are dialled only with pex')
        .argParser(parseChannels)
        .default([...mapperChannels], mapperChannels.join(',')),
    )
    .addOption(new Option('--depth <depth>', 'how hard to look').choices(['quick', 'thorough']).default(defaults.depth))
    .addOption(deadline)
    .addOption(
      new Option('--stay <time>', 'how long a session with one peer may last')
        .argParser(parseStay)
        .default(limits.sessionStayMs, `${limits.sessionStayMs / 1000}s`),
    )
    .addOption(
      new Option('--bootstrap <host:port,…>', 'DHT nodes to start from, in place of the built-in list')
        .argParser(parseBootstrap)
        .default([...defaultBootstrap], 'built-in list'),
    )
    .addOption(new Option('--profile <name>', 'how hard to work').choices(Object.keys(profiles)).default('server'))
    .addOption(
      new Option('--bind <address>', 'all traffic leaves from this address or not at all').argParser(parseBind),
    )
    .option('--ipv4', 'IPv4 only')
    .option('--ipv6', 'IPv6 only')
    .option('--no-announce', 'scrape trackers only: they list us nowhere and give no peers')
    .option('--private-ok', 'also map torrents marked private (an unlisted client can cost you your account)')
    .option('--allow-private', 'allow loopback and private addresses, for labs')
    .option('--opt-out <file>', 'addresses and CIDR ranges never to contact, one a line')
    .option('--blocklist <file>', 'the same, as CIDR ranges or in the P2P format (name:first-last)')
    .addOption(
      new Option('--listen <port>', 'let peers call us there, over TCP and UDP; trackers are told it').argParser(
        parseListen,
      ),
    )
    .addOption(logLevelOption())
}

function logLevelOption(): Option {
  return new Option('--log-level <level>', 'log lines on standard error').choices([...logLevels]).default('warn')
}

export function addOutputOptions(command: Command): Command {
  return command
    .addOption(new Option('--json', 'one JSON document on standard output').conflicts('ndjson'))
    .addOption(new Option('--ndjson', 'a stream of JSON objects, one a line'))
}

export function storeOption(): Option {
  return new Option('--store <dir>', 'where the peer graph is kept').default(defaultStoreDir())
}

export function profileOf(name: ProfileName): Profile {
  return profiles[name]
}

/** The address families that may leave, given `--ipv4`, `--ipv6` and `--bind`. */
export function familiesOf({
  ipv4,
  ipv6,
  bind,
}: Pick<NetworkOptions, 'ipv4' | 'ipv6' | 'bind'>): (4 | 6)[] | undefined {
  const wanted = ipv4 === ipv6 ? undefined : ipv4 ? 4 : 6
  if (bind === undefined) return wanted === undefined ? undefined : [wanted]
  const family = familyOf(bind)
  if (wanted !== undefined && wanted !== family) throw bad(`--bind ${bind} is not an IPv${wanted} address`)
  return [family]
}
