import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { limits, profiles, type Refusal } from '../src/index.ts'
import { FakeClock } from './fake-clock.ts'
import { policyWith, reason } from './unhurried-policy.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
let clock = new FakeClock()
beforeEach(() => {
  clock = new FakeClock()
})

describe('ports of one address', () => {
  const victim = (port: number, address = '1.1.1.1') => ({ address, port })

  it.each(['1.1.1.1', '2a01:4f8::1'])(
    'a hostile list that names %s on 65,535 ports costs it portsPerAddress contacts',
    (address) => {
      const policy = policyWith()
      const contacted = new Set<number>()
      for (let round = 0; round < 2; round++) {
        for (let port = 1; port <= 65_535; port++) {
          if (policy.admit('peer', 'tcp', victim(port, address), { channels: 2 }) === undefined) contacted.add(port)
        }
      }
      expect(contacted.size).toBe(profiles.server.portsPerAddress)
    },
  )

  it('a known endpoint may always be contacted again; each purpose has its own count', () => {
    const policy = policyWith({ portsPerAddress: 1 })
    expect(policy.admit('dht', 'udp', victim(2000))).toBeUndefined()
    expect(policy.admit('dht', 'udp', victim(2000))).toBeUndefined()
    expect(reason(policy.admit('dht', 'udp', victim(2001)))).toBe('ports-per-address')
    expect(policy.admit('peer', 'tcp', victim(2001))).toBeUndefined()
  })

  it('each port that answered earns as many again, once', () => {
    const policy = policyWith({ portsPerAddress: 2 })
    const admitted = () => {
      let count = 0
      for (let port = 3000; port < 4000; port++) if (!policy.admit('peer', 'tcp', victim(port))) count++
      return count
    }
    expect(admitted()).toBe(2)
    policy.vouch('peer', victim(3000))
    policy.vouch('peer', victim(3000))
    expect(admitted()).toBe(4)
    policy.vouch('peer', victim(3001))
    expect(admitted()).toBe(6)
    // Another purpose and another address earn nothing by it.
    policy.vouch('dht', victim(3002))
    policy.vouch('peer', victim(3002, '1.1.1.2'))
    expect(admitted()).toBe(6)
  })

  it('is forgotten between one and two hours after the last contact, whether anybody asked meanwhile or not', () => {
    for (const steps of [[2 * HOUR], [HOUR, HOUR], Array(8).fill(15 * MINUTE)]) {
      const policy = policyWith({ portsPerAddress: 1 }, { clock })
      policy.admit('peer', 'tcp', victim(2000))
      for (const step of steps.slice(0, -1)) {
        clock.advance(step)
        expect(reason(policy.admit('peer', 'tcp', victim(3000)))).toBe('ports-per-address')
      }
      clock.advance(steps.at(-1) as number)
      expect(policy.admit('peer', 'tcp', victim(3000))).toBeUndefined()
    }
  })

  it('is never forgotten within the hour', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 30 * MINUTE }), { maxLength: 6 }),
        fc.integer({ min: 0, max: 3 * HOUR }),
        (steps, start) => {
          const policy = policyWith({ portsPerAddress: 1 }, { clock })
          clock.advance(start)
          policy.admit('peer', 'tcp', victim(2000))
          let age = 0
          for (const step of steps) {
            if (age + step >= HOUR) break
            age += step
            clock.advance(step)
            expect(reason(policy.admit('peer', 'tcp', victim(3000)))).toBe('ports-per-address')
          }
        },
      ),
    )
  })

  it('contact keeps a history fresh: who is contacted every half hour stays known', () => {
    const policy = policyWith({ portsPerAddress: 1, newEndpointsPerMinute: 1 }, { clock })
    expect(policy.admit('peer', 'tcp', victim(2000))).toBeUndefined()
    for (let i = 0; i < 10; i++) {
      clock.advance(HOUR / 2)
      expect(policy.admit('peer', 'tcp', victim(2000))).toBeUndefined()
      expect(reason(policy.admit('peer', 'tcp', victim(3000)))).toBe('ports-per-address')
    }
  })
})

describe('first contacts in one network', () => {
  it.each([
    ['/24', (host: number) => `1.1.1.${host}`, '1.1.2.1'],
    ['/48', (host: number) => `2a01:4f8:1:${host}::1`, '2a01:4f8:2::1'],
  ])('are capped in a %s, known endpoints not counted, its neighbour not touched', (_, address, neighbour) => {
    const policy = policyWith({ firstContactsPerPrefix: 10 }, { clock })
    const admitted = () => {
      let count = 0
      for (let host = 1; host < 100; host++)
        if (!policy.admit('peer', 'tcp', { address: address(host), port: 6881 })) count++
      return count
    }
    expect(admitted()).toBe(10)
    expect(admitted()).toBe(10)
    expect(reason(policy.admit('peer', 'tcp', { address: address(99), port: 6881 }))).toBe('prefix-rate')
    expect(policy.admit('peer', 'tcp', { address: neighbour, port: 6881 })).toBeUndefined()
    clock.advance(2 * HOUR)
    expect(reason(policy.admit('peer', 'tcp', { address: address(99), port: 6881 }))).toBeUndefined()
  })

  it('a network whose known hosts are contacted on and on has no room for new ones', () => {
    const policy = policyWith({ firstContactsPerPrefix: 2 }, { clock })
    const to = (host: number) => ({ address: `1.1.1.${host}`, port: 6881 })
    for (let i = 0; i < 6; i++) {
      expect(policy.admit('peer', 'tcp', to(1))).toBeUndefined()
      expect(policy.admit('peer', 'tcp', to(2))).toBeUndefined()
      expect(reason(policy.admit('peer', 'tcp', to(3)))).toBe('prefix-rate')
      clock.advance(HOUR * 0.9)
    }
  })
})

describe('new endpoints per minute', () => {
  const fresh = (i: number) => ({ address: `${20 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.1`, port: 6881 })

  it.each([1, 3, 60, 480, 12_000])('%i: no 60 seconds see more, and they are not far from it', (perMinute) => {
    const policy = policyWith({ newEndpointsPerMinute: perMinute }, { clock })
    const times: number[] = []
    for (let i = 0; clock.now() < 5 * MINUTE; ) {
      const refusal = policy.admit('dht', 'udp', fresh(i))
      if (refusal === undefined) {
        times.push(clock.now())
        i++
      } else {
        expect(refusal.reason).toBe('new-endpoint-rate')
        expect(refusal.retryAfterMs).toBeGreaterThan(0)
        clock.advance(refusal.retryAfterMs as number)
      }
    }
    let busiest = 0
    for (let from = 0, to = 0; to < times.length; to++) {
      while ((times[to] as number) - (times[from] as number) >= MINUTE) from++
      busiest = Math.max(busiest, to - from + 1)
    }
    expect(busiest).toBeLessThanOrEqual(perMinute)
    expect(times.length).toBeGreaterThanOrEqual(perMinute * 2)
  })

  it('after retryAfterMs, and not before, the next is admitted; a refusal costs nothing', () => {
    const policy = policyWith({ newEndpointsPerMinute: 60 }, { clock })
    let next = 0
    while (policy.admit('dht', 'udp', fresh(next)) === undefined) next++
    const { retryAfterMs = 0 } = policy.admit('dht', 'udp', fresh(next)) as Refusal
    clock.advance(retryAfterMs - 1)
    expect(reason(policy.admit('dht', 'udp', fresh(next)))).toBe('new-endpoint-rate')
    clock.advance(1)
    expect(policy.admit('dht', 'udp', fresh(next))).toBeUndefined()
  })

  it('who is known, or refused for another reason, takes nothing', () => {
    const policy = policyWith({ newEndpointsPerMinute: 1 })
    expect(reason(policy.admit('dht', 'udp', { address: '10.0.0.1', port: 6881 }))).toBe('address')
    expect(policy.judge('dht', 'udp', fresh(0))).toBeUndefined()
    expect(policy.admit('dht', 'udp', fresh(0))).toBeUndefined()
    expect(policy.admit('dht', 'udp', fresh(0))).toBeUndefined()
    expect(reason(policy.admit('dht', 'udp', fresh(1)))).toBe('new-endpoint-rate')
  })
})

it('keeps a bounded history: the newest are known, the count of the oldest starts again', () => {
  const policy = policyWith({ portsPerAddress: 1, firstContactsPerPrefix: Number.POSITIVE_INFINITY })
  const to = (i: number, port = 6881) => ({ address: `${20 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.1`, port })
  const total = 2 * limits.policyHistory + 10
  for (let i = 0; i < total; i++) policy.admit('dht', 'udp', to(i))
  expect(reason(policy.admit('dht', 'udp', to(total - 1, 7000)))).toBe('ports-per-address')
  expect(reason(policy.admit('dht', 'udp', to(limits.policyHistory + 1, 7000)))).toBe('ports-per-address')
  expect(policy.admit('dht', 'udp', to(0, 7000))).toBeUndefined()
})
