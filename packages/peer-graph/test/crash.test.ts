import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { collect, openStore, temporaryDir } from './fixtures.ts'

const child = fileURLToPath(new URL('crash-child.ts', import.meta.url))

/** Runs the child until `afterMs` after its first acknowledged group; returns one past the last acknowledged fact. */
async function killedAfter(dir: string, first: number, afterMs: number): Promise<number> {
  const flags = ['--import', 'tsx', '--conditions=@swarmatlas/source']
  const running = spawn(process.execPath, [...flags, child, dir, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  running.stdout.on('data', (bytes) => {
    if (said === '') setTimeout(() => running.kill('SIGKILL'), afterMs)
    said += bytes
  })
  const [, signal] = await once(running, 'close')
  expect(signal).toBe('SIGKILL')
  // A last line that the kill cut short acknowledges nothing.
  const whole = said.slice(0, said.lastIndexOf('\n')).split('\n')
  return Number(whole.at(-1)?.split(' ')[1])
}

describe('a process killed with SIGKILL', () => {
  it('loses no acknowledged fact, doubles none, and leaves a store that opens', { timeout: 60_000 }, async () => {
    const dir = await temporaryDir()
    // Each child goes on where the last acknowledged fact was: what was written beyond is said again.
    const acknowledged = [0]
    for (const afterMs of [1, 20, 50, 100, 250]) {
      const begun = acknowledged.at(-1) as number
      acknowledged.push(await killedAfter(dir, begun, Math.floor(afterMs * (0.5 + Math.random()))))
      expect(acknowledged.at(-1)).toBeGreaterThan(begun)
    }
    const graph = await openStore({ dir, create: false })
    const rounds = await collect(graph.rounds())
    expect(rounds.map(({ endedMs }) => endedMs)).toEqual(Array(5).fill(null))
    for (const { number } of rounds) {
      const [from, to] = [acknowledged[number - 1] as number, acknowledged[number] as number]
      const peers = await collect(graph.peers({ round: number }))
      const found = peers.map(({ endpoint: { address } }) =>
        address.split('.').reduce((value, part) => (value % 2 ** 16) * 256 + Number(part), 0),
      )
      expect(new Set(found).size).toBe(found.length)
      const known = new Set(found.map((value) => value % 2 ** 24))
      for (let i = from; i < to; i++) if (!known.has(i)) expect.fail(`fact ${i} of round ${number} is lost`)
      // A group is all or nothing, so what else is there came in the one group in flight.
      expect(peers.length - (to - from)).toBeLessThanOrEqual(400)
      expect(peers.every(({ lastVisit, tellers, rounds }) => lastVisit !== null && tellers === 1 && rounds <= 2)).toBe(
        true,
      )
      const edges = await collect(graph.edges({ round: number }))
      expect(edges).toHaveLength(peers.length)
      expect(edges.every(({ count }) => count === 1)).toBe(true)
    }
  })
})
