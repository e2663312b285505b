/** Node's implementations of the seams: the only place that touches the ambient clock, randomness and sockets. */
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import dns from 'node:dns'
import { readFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { canonicalAddress, type Family, familyOf } from './endpoint.ts'
import type { Clock, Host, Random, Resolver, Tcp, Udp } from './seams.ts'

// setTimeout clamps longer delays to 1 ms with a warning.
const MAX_TIMER_MS = 2 ** 31 - 1

export const nodeClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  timer(ms, fire, { keepAlive = true } = {}) {
    const handle = setTimeout(fire, Math.min(Math.max(ms, 0), MAX_TIMER_MS))
    if (!keepAlive) handle.unref()
    return { cancel: () => clearTimeout(handle) }
  },
}

export const nodeRandom: Random = {
  bytes: (length) => randomBytes(length),
  float: () => Math.random(),
}

export const nodeUdp: Udp = {
  open({ family, address, port = 0, receiveBufferBytes, onMessage, onError }) {
    return new Promise((resolve, reject) => {
      let open = true
      const socket = createSocket({ type: family === 4 ? 'udp4' : 'udp6', ipv6Only: family === 6 })
      const fail = (error: Error) => socket.close(() => reject(error))
      socket.once('error', fail)
      socket.bind({ port, ...(address === undefined ? {} : { address }) }, () => {
        socket.off('error', fail)
        socket.on('error', (error) => open && onError(error))
        socket.on('message', (bytes, from) => {
          const source = canonicalAddress(from.address)
          // Link-local senders come with a zone, which no endpoint can hold.
          if (open && source !== undefined) onMessage(bytes, { address: source, port: from.port })
        })
        if (receiveBufferBytes !== undefined) {
          try {
            socket.setRecvBufferSize(receiveBufferBytes)
          } catch {
            // Linux caps the request silently, macOS refuses it; what was granted is read back below.
          }
        }
        const local = socket.address()
        resolve({
          local: { address: local.address, port: local.port },
          receiveBufferBytes: socket.getRecvBufferSize(),
          send(bytes, to) {
            if (open) socket.send(bytes, to.port, to.address, (error) => error && open && onError(error))
          },
          close() {
            if (!open) return Promise.resolve()
            open = false
            return new Promise((closed) => socket.close(() => closed()))
          },
        })
      })
    })
  },
}

export const nodeTcp: Tcp = {
  connect(to, { localAddress, signal }) {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const socket = connect({
        host: to.address,
        port: to.port,
        noDelay: true,
        ...(localAddress === undefined ? {} : { localAddress }),
      })
      const settle = () => {
        signal.removeEventListener('abort', abort)
        socket.off('error', fail)
        socket.off('connect', done)
      }
      const fail = (error: Error) => {
        settle()
        // A late error of the destroyed socket must not end the process.
        socket.on('error', () => {})
        socket.destroy()
        reject(error)
      }
      const abort = () => fail(signal.reason)
      const done = () => {
        settle()
        // Until the caller listens; an 'error' that nobody listens to would end the process.
        socket.on('error', () => {})
        resolve(socket)
      }
      signal.addEventListener('abort', abort, { once: true })
      socket.once('error', fail)
      socket.once('connect', done)
    })
  },
  listen({ address, port, onConnection }) {
    return new Promise((resolve, reject) => {
      const open = new Set<Socket>()
      const server = createServer({ noDelay: true }, (socket) => {
        socket.on('error', () => {})
        const from = canonicalAddress(socket.remoteAddress ?? '')
        // Gone already, or link-local with a zone.
        if (from === undefined || socket.remotePort === undefined) {
          socket.destroy()
          return
        }
        open.add(socket)
        socket.on('close', () => open.delete(socket))
        onConnection(socket, { address: from, port: socket.remotePort })
      })
      server.once('error', reject)
      server.listen({ host: address, port, ipv6Only: familyOf(address) === 6 }, () => {
        server.off('error', reject)
        server.on('error', () => {})
        const local = server.address() as { address: string; port: number }
        resolve({
          local: { address: local.address, port: local.port },
          close() {
            for (const socket of open) socket.destroy()
            return new Promise((closed) => server.close(() => closed()))
          },
        })
      })
    })
  },
}

export interface NodeResolverOptions {
  /** Queries leave from this address alone. */
  localAddress?: string | undefined
  /** Name servers instead of the system's, `address` or `address:port`; only used with `localAddress`. */
  servers?: readonly string[] | undefined
}

/**
 * Names resolved as the system does (hosts file included), or, when `localAddress` is given, by DNS queries that leave
 * from that address alone: getaddrinfo would ignore the binding.
 */
export function nodeResolver({ localAddress, servers }: NodeResolverOptions = {}): Resolver {
  return {
    async resolve(host, { signal }) {
      const literal = canonicalAddress(host.replace(/^\[|\]$/g, ''))
      if (literal !== undefined) return [literal]
      signal.throwIfAborted()
      const answer = localAddress === undefined ? systemLookup(host) : boundLookup(host, localAddress, servers, signal)
      const addresses = await orAbort(answer, signal)
      return [...new Set(addresses.flatMap((address) => canonicalAddress(address) ?? []))]
    },
  }
}

async function systemLookup(host: string): Promise<string[]> {
  const found = await dns.promises.lookup(host, { all: true, order: 'verbatim' })
  return found.map((entry) => entry.address)
}

/** The names that this machine's hosts file gives addresses: c-ares does not read it. */
async function hostsFile(): Promise<Map<string, string[]>> {
  const path = process.platform === 'win32' ? String.raw`C:\Windows\System32\drivers\etc\hosts` : '/etc/hosts'
  const text = await readFile(path, 'utf8').catch(() => '')
  const names = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const [first = '', ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/)
    const address = canonicalAddress(first)
    if (address === undefined) continue
    for (const name of aliases) names.set(name.toLowerCase(), [...(names.get(name.toLowerCase()) ?? []), address])
  }
  return names
}

async function boundLookup(
  host: string,
  localAddress: string,
  servers: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<string[]> {
  const resolver = new dns.promises.Resolver()
  const family = familyOf(localAddress)
  const local = (await hostsFile()).get(host.toLowerCase())?.filter((address) => familyOf(address) === family)
  if (local !== undefined && local.length > 0) return local
  // A name server of the other family would be asked from an address that nobody chose.
  const reachable = (servers ?? resolver.getServers()).filter((server) => serverFamily(server) === family)
  if (reachable.length === 0) throw new Error(`no IPv${family} name server to ask from ${localAddress}`)
  resolver.setServers(reachable)
  resolver.setLocalAddress(...((family === 4 ? [localAddress] : ['0.0.0.0', localAddress]) as [string, string?]))
  const cancel = () => resolver.cancel()
  signal.addEventListener('abort', cancel, { once: true })
  try {
    // What cannot be reached from the bound address is of no use: ask for its family only.
    return await (family === 4 ? resolver.resolve4(host) : resolver.resolve6(host))
  } finally {
    signal.removeEventListener('abort', cancel)
  }
}

/** `1.2.3.4`, `1.2.3.4:53`, `::1` or `[::1]:53`. */
function serverFamily(server: string): Family {
  return /^[\d.]+(?::\d+)?$/.test(server) ? 4 : 6
}

function orAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/** Descriptors that this process may have open; undefined where the system does not show it. */
export async function descriptorLimit(): Promise<number | undefined> {
  const text = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  const [, soft] = /^Max open files +(\d+|unlimited)/m.exec(text) ?? []
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : soft === undefined ? undefined : Number(soft)
}

/** The seams of this machine. `localAddress` binds name resolution (sockets are bound by the gate). */
export function nodeHost({ localAddress }: { localAddress?: string | undefined } = {}): Host {
  return {
    clock: nodeClock,
    random: nodeRandom,
    udp: nodeUdp,
    tcp: nodeTcp,
    resolver: nodeResolver({ localAddress }),
  }
}
