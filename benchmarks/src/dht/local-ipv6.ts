/** A network namespace in which every address of 2001:db8::/32 is this machine, and from which nothing leads out. */
import { execFileSync, spawnSync } from 'node:child_process'
import { networkInterfaces } from 'node:os'
import { allowEgress } from '@swarmatlas/testkit'

export interface LocalIpv6 {
  /** Runs a command inside. */
  readonly prefix: readonly string[]
  close(): void
}

let made = 0

export function localIpv6Unavailable(): string | undefined {
  try {
    localIpv6().close()
    return undefined
  } catch {
    return 'IPv6 needs the right to make network namespaces'
  }
}

export function localIpv6(): LocalIpv6 {
  const name = `bench${process.pid}n${++made}`
  const close = () => void spawnSync('ip', ['netns', 'del', name])
  const ip = (command: string) => execFileSync('ip', command.split(' '), { stdio: 'pipe' })
  ip(`netns add ${name}`)
  try {
    ip(`-n ${name} link set lo up`)
    ip(`-n ${name} -6 route add local 2001:db8::/32 dev lo`)
  } catch (error) {
    close()
    throw error
  }
  return { prefix: ['ip', 'netns', 'exec', name], close }
}

/** Lets this process send to 2001:db8::/32. Throws unless loopback is all the network that it has. */
export function allowLocalIpv6(): void {
  const interfaces = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  if (!interfaces.every(({ internal }) => internal)) throw new Error('not within a namespace without a way out')
  allowEgress('2001:db8::/32')
}
