/**
 * The egress guard: no packet of a test leaves the machine. Loading this file installs it (vitest loads it before each
 * test file; `node --import` does for a plain process). A refused call throws, and is recorded beside that, so that a
 * test fails also when the code under test swallowed the error.
 */
import dgram from 'node:dgram'
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
import net from 'node:net'

export interface EgressRefusal {
  readonly kind: 'udp' | 'tcp' | 'dns'
  /** Address or name that something was to be sent to or asked for. */
  readonly host: string
  /** Where the call came from. */
  readonly stack: string
}

interface Guard {
  readonly allowed: Set<net.BlockList>
  refusals: EgressRefusal[]
  /** The test file whose hooks are set. */
  hookedFile?: string | undefined
}

// On globalThis: source and build, or a second load, share one guard.
const KEY = Symbol.for('swarmatlas.egress-guard')
const globals = globalThis as { [KEY]?: Guard; __vitest_worker__?: { filepath?: string } }

/** Lets datagrams and connections to a CIDR prefix (`10.213.7.0/24`) through until disposed: networks that the test made. */
export function allowEgress(prefix: string): Disposable {
  const [address = '', bits = ''] = prefix.split('/')
  const list = new net.BlockList()
  list.addSubnet(address, Number(bits), net.isIPv4(address) ? 'ipv4' : 'ipv6')
  const { allowed } = theGuard()
  allowed.add(list)
  return { [Symbol.dispose]: () => void allowed.delete(list) }
}

/** The refusals since the last call. A test that provokes one on purpose takes it, and passes. */
export function takeEgressRefusals(): EgressRefusal[] {
  const guard = theGuard()
  const taken = guard.refusals
  guard.refusals = []
  return taken
}

/** Throws when something was refused since the last look. */
export function failOnEgress(): void {
  const refusals = takeEgressRefusals()
  if (refusals.length === 0) return
  const list = refusals.map(({ kind, host, stack }) => `${kind} to ${host}\n${stack}`)
  throw new Error(`${refusals.length} attempt(s) to send beyond this machine:\n${list.join('\n')}`)
}

/** Idempotent. */
export function installEgressGuard(): void {
  theGuard()
}

function theGuard(): Guard {
  globals[KEY] ??= install()
  return globals[KEY]
}

function install(): Guard {
  const loopback = new net.BlockList()
  loopback.addSubnet('127.0.0.0', 8, 'ipv4')
  loopback.addAddress('::1', 'ipv6')
  const guard: Guard = { allowed: new Set([loopback]), refusals: [] }

  function check(kind: EgressRefusal['kind'], host: unknown): void {
    // No host means this machine; a function is a callback in its place.
    if (host === undefined || host === null || host === '' || host === 'localhost' || typeof host === 'function') return
    const name = String(host)
    const family = net.isIP(name)
    const lists = [...guard.allowed]
    if (family !== 0 && lists.some((list) => list.check(name, family === 4 ? 'ipv4' : 'ipv6'))) return
    refuse(kind, name)
  }

  function refuse(kind: EgressRefusal['kind'], host: string): never {
    const error = Object.assign(new Error(`egress refused: ${kind} to ${host}`), { code: 'EPERM' })
    guard.refusals.push({ kind, host, stack: error.stack?.split('\n').slice(3).join('\n') ?? '' })
    throw error
  }

  before(dgram.Socket.prototype, 'send', (args) => {
    // send(bytes, offset, length, port, address) or send(bytes, port, address)
    const long = Boolean(args[4]) || (Boolean(args[3]) && typeof args[3] !== 'function')
    const host = long ? args[4] : args[2]
    check('udp', typeof host === 'number' ? undefined : host)
  })
  before(dgram.Socket.prototype, 'connect', (args) => check('udp', args[1]))
  before(net.Socket.prototype, 'connect', (args) => {
    // connect(options), connect(port, host), connect(path), or net.connect's [options, callback]
    const first = Array.isArray(args[0]) ? args[0][0] : args[0]
    if (typeof first !== 'object' || first === null) check('tcp', Number.isNaN(Number(first)) ? undefined : args[1])
    else if (!first.path) check('tcp', first.host)
  })

  const lookup = ([name]: unknown[]) => {
    if (net.isIP(String(name)) === 0) check('dns', name)
  }
  before(dns, 'lookup', lookup)
  before(dns.promises, 'lookup', lookup, Promise.reject.bind(Promise))
  // These ask a name server whatever the name.
  const query = ([name]: unknown[]) => refuse('dns', String(name))
  for (const [owner, onError] of [
    [dns, undefined],
    [dns.Resolver.prototype, undefined],
    [dns.promises, Promise.reject.bind(Promise)],
    [dns.promises.Resolver.prototype, Promise.reject.bind(Promise)],
  ] as const) {
    const names = Object.getOwnPropertyNames(owner)
    for (const name of names.filter((name) => /^(resolve|reverse|lookupService)/.test(name))) {
      before(owner, name, query, onError)
    }
  }
  syncBuiltinESMExports()
  return guard
}

/** Runs `inspect` on the arguments before the method itself; what it throws becomes the answer through `onError`. */
function before(
  owner: object,
  name: string,
  // biome-ignore lint/suspicious/noExplicitAny: arguments as any caller passes them
  inspect: (args: any[]) => void,
  onError: (error: unknown) => unknown = (error) => {
    throw error
  },
): void {
  const methods = owner as Record<string, (...args: unknown[]) => unknown>
  const original = methods[name]
  if (typeof original !== 'function') return
  methods[name] = function (...args) {
    try {
      inspect(args)
    } catch (error) {
      return onError(error)
    }
    return original.apply(this, args)
  }
}

const guard = theGuard()
const worker = globals.__vitest_worker__
if (worker === undefined) {
  process.on('exit', () => {
    for (const { kind, host, stack } of takeEgressRefusals()) {
      process.stderr.write(`egress refused: ${kind} to ${host}\n${stack}\n`)
      process.exitCode = 1
    }
  })
} else if (guard.hookedFile === undefined || guard.hookedFile !== worker.filepath) {
  // Once for each test file, also where files share a process.
  guard.hookedFile = worker.filepath
  const { afterAll, afterEach } = await import('vitest')
  afterEach(failOnEgress)
  afterAll(failOnEgress)
}
