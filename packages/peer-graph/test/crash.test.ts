import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { collect, openStore, temporaryDir } from './fixtures.ts'
import { answersOf } from './loads.ts'

const child = fileURLToPath(new URL('crash-child.ts', import.meta.url))
/** SWARMATLAS_CRASHES=100 for the long run. */
const crashes = Number((process.env as { SWARMATLAS_CRASHES?: string }).SWARMATLAS_CRASHES ?? 5)

interface Acknowledged {
  readonly round: number
  readonly from: number
  readonly to: number
}

function start(dir: string, first: number) {
  const flags = ['--import', 'tsx', '--conditions=@swarmatlas/source']
  return spawn(process.execPath, [...flags, child, dir, String(first)], { stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Runs the child until `afterMs` after its first acknowledged group; returns the groups that it acknowledged. */
async function killedAfter(dir: string, first: number, afterMs: number): Promise<Acknowledged[]> {
  const running = start(dir, first)
  let [said, complaints] = ['', '']
  running.stderr.on('data', (bytes) => {
    complaints += bytes
  })
  running.stdout.on('data', (bytes) => {
    if (said === '') setTimeout(() => running.kill('SIGKILL'), afterMs)
    said += bytes
  })
  const [, signal] = await once(running, 'close')
  expect([signal, complaints]).toEqual(['SIGKILL', ''])
  // A last line that the kill cut short acknowledges nothing.
  const lines = said.slice(0, said.lastIndexOf('\n')).split('\n')
  return lines.map((line) => {
    const [round = 0, from = 0, to = 0] = line.split(' ').map(Number)
    return { round, from, to }
  })
}

describe('a process killed with SIGKILL', () => {
  it('loses no acknowledged fact, doubles none, and leaves a store that opens', {
    timeout: 10_000 + crashes * 6_000,
  }, async () => {
    const dir = await temporaryDir()
    // Each child goes on where the last acknowledged fact was: what was written beyond is said again.
    const acknowledged: Acknowledged[] = []
    for (let crash = 0; crash < crashes; crash++) {
      const first = acknowledged.at(-1)?.to ?? 0
      const groups = await killedAfter(dir, first, Math.floor(Math.random() * 300))
      expect(groups.length).toBeGreaterThan(0)
      acknowledged.push(...groups)
    }
    const graph = await openStore({ dir, create: false })
    const byRound = groupByRound(acknowledged)
    for (const [round, groups] of byRound) {
      const peers = await collect(graph.peers({ round }))
      const found = peers.map(({ endpoint: { address } }) =>
        address.split('.').reduce((value, part) => (value * 256 + Number(part)) % 2 ** 24, 0),
      )
      const known = new Set(found)
      expect(known.size).toBe(found.length)
      for (const { from, to } of groups) {
        for (let i = from; i < to; i++) if (!known.has(i)) expect.fail(`fact ${i} of round ${round} is lost`)
      }
      // A group is all or nothing, so what else is there came in the one group in flight.
      const sum = groups.reduce((total, { from, to }) => total + to - from, 0)
      expect(peers.length - sum).toBeLessThanOrEqual(400)
      expect(peers.every(({ lastVisit, tellers }) => lastVisit !== null && tellers === 1)).toBe(true)
      const edges = await collect(graph.edges({ round }))
      expect(edges).toHaveLength(peers.length)
      expect(edges.every(({ count }) => count === 1)).toBe(true)
    }
    expect(await collect(graph.verify())).toEqual([])
    const answers = await answersOf(graph)
    await graph.rebuild()
    expect(await answersOf(graph)).toEqual(answers)
  })
})

describe('a second process', () => {
  it('is refused by name while the first one writes, which goes on undisturbed', async () => {
    const dir = await temporaryDir()
    const running = start(dir, 0)
    try {
      const [line] = await once(running.stdout, 'data')
      expect(String(line)).toMatch(/^1 0 /)
      await expect(openStore({ dir, create: false })).rejects.toMatchObject({
        code: 'STORE_LOCKED',
        message: expect.stringContaining(`process ${running.pid}`),
      })
      await once(running.stdout, 'data')
    } finally {
      running.kill('SIGKILL')
      await once(running, 'close')
    }
    expect((await collect((await openStore({ dir, create: false })).peers({}))).length).toBeGreaterThan(0)
  })
})

function groupByRound(groups: readonly Acknowledged[]): Map<number, Acknowledged[]> {
  const rounds = new Map<number, Acknowledged[]>()
  for (const group of groups) rounds.set(group.round, [...(rounds.get(group.round) ?? []), group])
  return rounds
}
