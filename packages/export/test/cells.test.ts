import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createCells, type Path } from '../src/cells.ts'

const K = 5
const hosts = (n: number, name: string) => Array.from({ length: n }, (_, i) => `${name}${i}`)

/** What each host shows. */
function shownBy(entries: readonly (readonly [Path, string])[], max: number = 1_000): { host: string; seen: string }[] {
  const cells = createCells({ k: K, max })
  for (const [path, host] of entries) cells.add(path, host)
  return entries.map(([path, host]) => {
    const shown = cells.shown(path)
    return { host, seen: JSON.stringify([shown, ...path.slice(0, shown)]) }
  })
}

test('shows all of what five hosts share, and less of what four do', () => {
  const five = hosts(5, 'a').map((host) => [['FR', 1, 'x'], host] as const)
  const four = hosts(4, 'b').map((host) => [['FR', 2, 'y'], host] as const)
  const others = hosts(6, 'c').map((host) => [['FR', 2, 'z'], host] as const)
  const shown = shownBy([...five, ...four, ...others])
  expect(shown.slice(0, 5).every(({ seen }) => seen === '[3,"FR",1,"x"]')).toBe(true)
  // Four hosts that alone show nothing would stand out by it: the next large cell shows nothing, either.
  expect(new Set(shown.slice(5).map(({ seen }) => seen))).toEqual(new Set(['[0]']))
})

test('a household with five ports is one host', () => {
  const entries = Array.from({ length: 5 }, () => [['FR', 1, 'x'], 'same'] as const)
  expect(shownBy(entries).every(({ seen }) => seen === '[0]')).toBe(true)
})

test('counts a bounded number of combinations: hostile client names cannot fill the memory', () => {
  const entries = hosts(100, 'h').map((host, i) => [['FR', 1, `client ${Math.floor(i / 10)}`], host] as const)
  const shown = shownBy(entries, 5)
  expect(shown.some(({ seen }) => seen === '[0]')).toBe(true)
  expect(new Set(shown.map(({ seen }) => seen)).size).toBeLessThan(5)
})

test('whatever comes, what is shown is shared by five hosts, or all show nothing', () => {
  const path = fc.tuple(
    fc.constantFrom('FR', 'DE', 'LI', null),
    fc.constantFrom(1, 2, 3, null),
    fc.constantFrom('x', 'y', 'z', null),
  )
  const entry = fc.tuple(path, fc.integer({ min: 0, max: 60 }).map(String))
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 150 }), (entries) => {
      const shown = shownBy(entries)
      const classes = new Map<string, Set<string>>()
      for (const { host, seen } of shown) classes.set(seen, (classes.get(seen) ?? new Set()).add(host))
      const small = [...classes].filter(([, members]) => members.size < K)
      // Fewer than five hosts in all cannot hide among five.
      const isAll = classes.size === 1 && classes.has('[0]')
      expect(small.length === 0 || isAll).toBe(true)
    }),
    { numRuns: 500 },
  )
})
