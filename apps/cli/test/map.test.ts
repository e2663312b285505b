import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { endpointKey } from '@swarmatlas/core'
import stringWidth from 'string-width'
import { describe, expect } from 'vitest'
import type { Cli } from './cli.ts'
import { checkedSwarm, peerShape } from './contract.ts'
import { test } from './fixtures.ts'
import { CJK_NAME, type TestSwarm } from './swarm.ts'

const widest = (text: string) => Math.max(...text.split('\n').map((line) => stringWidth(line)))
const lines = (text: string) => text.trimEnd().split('\n')

function expectMap(png: string, svg: string): void {
  expect(readFileSync(png).subarray(0, 8).toString('latin1')).toBe('\x89PNG\r\n\x1a\n')
  expect(readFileSync(svg, 'utf8')).toMatch(/^(<\?xml[^>]*>\s*)?<svg /)
}

/** A list that names two torrents, one of them twice, one by a file beside the list. */
function writeList(cli: Cli, world: TestSwarm): string {
  const list = join(cli.folder, 'list.txt')
  writeFileSync(join(cli.folder, 'single.torrent'), world.single.torrentFile)
  writeFileSync(list, `# two torrents\n${world.open.magnet}\n\n./single.torrent\n${world.open.magnet}\n`)
  return list
}

describe.concurrent('map', { timeout: 60_000 }, () => {
  test('of a list stores a round, reports it and draws it; swarms and peers answer from the store', async ({
    cli,
    world,
  }) => {
    const store = join(cli.folder, 'store')
    const list = writeList(cli, world)
    const mapped = await cli.run(['map', '--list', list, '--store', store, '--depth', 'quick', ...world.options])
    expect(mapped).toMatchObject({ code: 0 })
    expect(widest(mapped.stdout)).toBeLessThanOrEqual(80)
    expect(mapped.stdout).toMatch(/^Round 1: 2 swarms/)
    const png = join(store, 'maps', 'round-000001.png')
    expect(lines(mapped.stdout).at(-1)).toBe(png)
    expectMap(png, png.replace('.png', '.svg'))

    // One after the other: a store is one process's at a time.
    const ask = async (command: string, ...args: string[]) => cli.run([command, '--store', store, ...args])
    const swarms = JSON.parse((await ask('swarms', '--json')).stdout)
    expect(new Map(swarms.map((swarm: { name: string; peers: number }) => [swarm.name, swarm.peers]))).toEqual(
      new Map([
        [CJK_NAME, world.open.peers.length],
        ['single.iso', 1],
      ]),
    )
    const swarmTable = await ask('swarms')
    expect(swarmTable).toMatchObject({ code: 0, stderr: '' })
    expect(widest(swarmTable.stdout)).toBeLessThanOrEqual(80)

    const all = lines((await ask('peers', '--ndjson')).stdout).map((line) => JSON.parse(line))
    for (const [i, peer] of all.entries()) peerShape(peer, `peers[${i}]`)
    const everyone = [...world.open.peers, ...world.single.peers].map((peer) => endpointKey(peer.endpoint))
    expect(all.map(endpointKey).sort()).toEqual(everyone.sort())

    const single = world.single.hashes.v1 as string
    const bySwarm = JSON.parse((await ask('peers', '--swarm', single, '--json')).stdout)
    expect(bySwarm).toMatchObject([{ swarm: single, role: 'seed' }])
    const seedsByPex = JSON.parse((await ask('peers', '--role', 'seed', '--channel', 'dht', '--json')).stdout)
    expect(seedsByPex).toHaveLength(2)
    expect(await ask('peers', '--country', 'fr')).toMatchObject({ code: 1, stdout: 'no peer matches\n' })
    const refused = await ask('peers', '--evidence', 'sure')
    expect(refused).toMatchObject({ code: 2, stdout: '' })
    expect(refused.stderr).toContain('--evidence: "sure" is none of')
    const unknown = await ask('peers', '--swarm', 'cd'.repeat(20))
    expect(unknown).toMatchObject({ code: 2, stdout: '' })
    expect(unknown.stderr).toContain(`${'cd'.repeat(20)} is not in ${store}`)
  })

  test('--json prints round, swarms and files; -o names the map, both kinds are written', async ({ cli, world }) => {
    const svg = join(cli.folder, 'new', 'world.svg')
    const args = ['map', world.single.magnet, '--store', join(cli.folder, 'store'), '-o', svg, '--json']
    const { code, stdout, stderr } = await cli.run([...args, '--depth', 'quick', ...world.options])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const { round, swarms, files } = JSON.parse(stdout)
    expect(round).toMatchObject({ number: 1, reason: 'nothing-new' })
    expect(swarms).toHaveLength(1)
    checkedSwarm(swarms[0])
    expect(files).toEqual([svg, svg.replace('.svg', '.png')])
    expectMap(files[1], files[0])
  })

  test('--ndjson streams events and then the report', async ({ cli, world }) => {
    const list = writeList(cli, world)
    const { code, stdout } = await cli.run([
      ...['map', '--list', list, '--store', join(cli.folder, 'store'), '--ndjson', '--depth', 'quick'],
      ...world.options,
    ])
    expect(code).toBe(0)
    const events = lines(stdout).map((line) => JSON.parse(line))
    for (const event of events) expect(event).toMatchObject({ type: expect.any(String), atMs: expect.any(Number) })
    expect(events[0]).toMatchObject({ type: 'round-started', swarms: 2 })
    expect(events.at(-1)).toMatchObject({
      type: 'report',
      swarms: [{}, {}],
      files: [{}, {}].map(() => expect.any(String)),
    })
  })

  test('refuses a map that it could not write, before anything is sent', async ({ cli, world }) => {
    const file = join(cli.folder, 'file')
    writeFileSync(file, '')
    const on = (output: string) =>
      cli.run(['map', world.single.magnet, '--store', join(cli.folder, 'store'), '-o', output, ...world.options])
    const [jpeg, below, folder] = await Promise.all([
      on('world.jpg'),
      on(join(file, 'world.png')),
      on(`${cli.folder}/.png`),
    ])
    expect(jpeg).toMatchObject({ code: 2, stdout: '' })
    expect(jpeg.stderr).toContain('-o world.jpg: the file’s ending must be .png or .svg'.replace('’', "'"))
    expect(below).toMatchObject({ code: 4, stdout: '' })
    expect(below.stderr).toContain(`cannot write ${join(file, 'world.png')}`)
    expect(folder).toMatchObject({ code: 2, stdout: '' })
    expect(world.swarm.counters.trackerAnnounces + world.swarm.counters.dhtQueriesByNode.size).toBe(0)
  })
})

test.concurrent('lookup --store keeps what it found', async ({ cli, world }) => {
  const store = join(cli.folder, 'store')
  await cli.run(['lookup', world.single.magnet, '--store', store, ...world.options])
  const { code, stdout } = await cli.run(['swarms', '--store', store, '--json'])
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject([{ name: 'single.iso', rounds: 1, peers: 1, latest: { seeds: 1 } }])
})

test.concurrent('swarms and peers of a store that is none say where they looked', async ({ cli }) => {
  for (const command of ['swarms', 'peers']) {
    const { code, stderr } = await cli.run([command])
    expect(code).toBe(4)
    expect(stderr).toContain(`no store at ${join(cli.folder, 'data', 'swarmatlas')}`)
  }
})
