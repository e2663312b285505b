/** Node's implementations of the seams: the only place that touches the ambient clock, randomness and sockets. */
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import dns from 'node:dns'
import { connect, createServer, type Socket } from 'node:net'
import { canonicalAddress, type Endpoint, familyOf } from './endpoint.ts'
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
      socket.once('error', reject)
      socket.bind({ port, ...(address === undefined ? {} : { address }) }, () => {
        socket.off('error', reject)
        socket.on('error', (error) => open && onError(error))
        socket.on('message', (bytes, from) => {
          if (open) onMessage(bytes, { address: canonicalAddress(from.address) ?? from.address, port: from.port })
        })
        // The system caps the request silently; what it granted is read back below.
        if (receiveBufferBytes !== undefined) socket.setRecvBufferSize(receiveBufferBytes)
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
        open.add(socket)
        socket.on('close', () => open.delete(socket))
        socket.on('error', () => {})
        const from: Endpoint = {
          address: canonicalAddress(socket.remoteAddress ?? '') ?? '',
          port: socket.remotePort ?? 0,
        }
        onConnection(socket, from)
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

/**
 * Names resolved as the system does (hosts file included), or, when `localAddress` is given, by DNS queries that leave
 * from that address alone: getaddrinfo would ignore the binding.
 */
export function nodeResolver({ localAddress }: { localAddress?: string | undefined } = {}): Resolver {
  return {
    async resolve(host, { signal }) {
      const literal = canonicalAddress(host.replace(/^\[|\]$/g, ''))
      if (literal !== undefined) return [literal]
      signal.throwIfAborted()
      const answer = localAddress === undefined ? systemLookup(host) : boundLookup(host, localAddress, signal)
      const addresses = await Promise.race([answer, rejectOnAbort(signal)])
      return addresses.map((address) => canonicalAddress(address) ?? address)
    },
  }
}

async function systemLookup(host: string): Promise<string[]> {
  const found = await dns.promises.lookup(host, { all: true, order: 'verbatim' })
  return found.map((entry) => entry.address)
}

async function boundLookup(host: string, localAddress: string, signal: AbortSignal): Promise<string[]> {
  const resolver = new dns.promises.Resolver()
  if (familyOf(localAddress) === 4) resolver.setLocalAddress(localAddress)
  else resolver.setLocalAddress('0.0.0.0', localAddress)
  signal.addEventListener('abort', () => resolver.cancel(), { once: true })
  // What cannot be reached from the bound address is of no use: ask for its family only.
  return familyOf(localAddress) === 4 ? resolver.resolve4(host) : resolver.resolve6(host)
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
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
