/** Questions to a store, and what leaves it. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { endpointKey } from '@swarmatlas/core'
import stringWidth from 'string-width'
import { describe, expect } from 'vitest'
import type { Cli } from './cli.ts'
import { test } from './fixtures.ts'
import { CJK_NAME, type TestSwarm } from './swarm.ts'

const lines = (text: string) => text.trimEnd().split('\n')
const records = <T>(text: string) => lines(text).map((line) => JSON.parse(line) as T)

interface Edge {
  swarm: string
  teller: string
  tellerKind: string
  peer: string
  kind: string
  channel: string
  count: number
}

/** A store with one round over two torrents. */
async function makeStore(cli: Cli, world: TestSwarm): Promise<string> {
  const store = join(cli.folder, 'store')
  const targets = [world.open.magnet, world.single.magnet]
  const { code, stderr } = await cli.run(['map', ...targets, '--store', store, '--depth', 'quick', ...world.options])
  expect({ code, stderr }).toMatchObject({ code: 0 })
  return store
}

describe.concurrent('a store', { timeout: 120_000 }, () => {
  test('tells its rounds, and who told of whom', async ({ cli, world }) => {
    const store = await makeStore(cli, world)
    const ask = (...args: string[]) => cli.run([...args, '--store', store])

    const rounds = JSON.parse((await ask('rounds', '--json')).stdout)
    expect(rounds).toMatchObject([{ number: 1, swarms: 2, reason: expect.any(String), endedMs: expect.any(Number) }])
    const text = await ask('rounds')
    expect(text.stdout).toMatch(/^ +round {2}started/)
    expect(lines(text.stdout)).toHaveLength(2)

    const edges = records<Edge>((await ask('edges', '--ndjson')).stdout)
    const found = endpointKey(world.open.peers.find(({ spec }) => spec.name === 'pex')?.endpoint as never)
    const hub = edges.find(({ peer, kind }) => peer === found && kind === 'connected')?.teller as string
    expect(new Set(edges.map(({ kind }) => kind))).toEqual(new Set(['stored', 'listed', 'connected']))
    const toldByHub = records<Edge>((await ask('edges', '--teller', hub, '--ndjson')).stdout)
    expect(toldByHub).toEqual(edges.filter(({ teller }) => teller === hub))
    const toldOf = JSON.parse((await ask('edges', '--peer', found, '--channel', 'pex', '--json')).stdout)
    expect(toldOf).toEqual(edges.filter(({ peer, channel }) => peer === found && channel === 'pex'))
    expect(toldOf.length).toBeGreaterThan(0)

    const explained = JSON.parse((await ask('explain', found, '--json')).stdout)
    expect(explained.swarms).toMatchObject([{ name: CJK_NAME, evidence: 'role-known', firstRound: 1, lastRound: 1 }])
    const [{ tellers, chain }] = explained.swarms as [{ tellers: Edge[]; chain: Edge[] }]
    expect(new Set(tellers)).toEqual(new Set(edges.filter(({ peer }) => peer === found)))
    // Back to somebody whom the network names: a DHT node or a tracker.
    expect(chain[0]?.peer).toBe(found)
    expect(['dht-node', 'tracker']).toContain(chain.at(-1)?.tellerKind)
    const words = await ask('explain', found)
    expect(words.stdout).toContain(hub)
    expect(Math.max(...lines(words.stdout).map((line) => stringWidth(line)))).toBeLessThanOrEqual(80)
    expect(await ask('explain', '203.0.113.5:6881')).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('nobody'),
    })

    expect(await ask('edges', '--peer', '203.0.113.5:6881')).toMatchObject({ code: 1, stdout: 'no edge matches\n' })
    const wrong = await ask('edges', '--teller', '203.0.113.5')
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('hint: for example 203.0.113.5:6881') })
    expect(await ask('edges', '--round', '7')).toMatchObject({ code: 2, stderr: expect.stringContaining('no round 7') })
  })

  test('is exported without addresses: the last line is the file with the peers', async ({ cli, world }) => {
    const store = await makeStore(cli, world)
    const folder = join(cli.folder, 'out')
    for (const format of ['ndjson', 'csv', 'gexf', 'geojson']) {
      const args = ['export', '--format', format, '-o', join(folder, format), '--store', store]
      const { code, stdout, stderr } = await cli.run(args)
      expect({ code, stderr }, format).toEqual({ code: 0, stderr: '' })
      const main = lines(stdout).at(-1) as string
      expect(existsSync(main)).toBe(true)
      for (const name of readdirSync(join(folder, format))) {
        const content = readFileSync(join(folder, format, name))
        expect(content.includes('127.0.0.1'), name).toBe(false)
        expect(content.includes(Buffer.from([127, 0, 0, 1])), name).toBe(false)
        expect(content.includes(cli.folder), name).toBe(false)
      }
    }
    // Whoever may read the store's folder must not read the key of its pseudonyms.
    expect(statSync(join(store, 'study.key')).mode & 0o777).toBe(0o600)

    const peers = records<{ swarm: string; peer: string; evidence: string }>(
      readFileSync(join(folder, 'ndjson/peers.ndjson'), 'utf8'),
    )
    const all = JSON.parse((await cli.run(['peers', '--store', store, '--json'])).stdout) as { evidence: string }[]
    const answered = all.filter(({ evidence }) => evidence === 'handshaken' || evidence === 'role-known')
    expect(peers).toHaveLength(answered.length)
    expect(answered.length).toBeLessThan(all.length)
    const swarms = records<{ name: string }>(readFileSync(join(folder, 'ndjson/swarms.ndjson'), 'utf8'))
    expect(new Set(swarms.map(({ name }) => name))).toEqual(new Set([CJK_NAME, 'single.iso']))
    const { provenance } = JSON.parse(readFileSync(join(folder, 'csv/datapackage.json'), 'utf8'))
    expect(provenance).toMatchObject({ command: 'swarmatlas export --format csv', rounds: 1, gaps: [] })
  })

  test('is exported in part, for jq, and with addresses only when they are asked for', async ({ cli, world }) => {
    const store = await makeStore(cli, world)
    const output = join(cli.folder, 'single.ndjson')
    const args = [
      'export',
      '--format',
      'ndjson',
      '-o',
      output,
      '--store',
      store,
      '--swarm',
      world.single.hashes.v1 as string,
    ]
    const first = await cli.run([...args, '--json'])
    expect(JSON.parse(first.stdout)).toMatchObject({ main: output, counts: { peers: 1, swarms: 1, rounds: 1 } })
    const pseudonym = records<{ peer: string }>(readFileSync(output, 'utf8'))
    // The key is the store's: the pseudonyms of today are those of tomorrow.
    await cli.run(args)
    expect(records(readFileSync(output, 'utf8'))).toEqual(pseudonym)

    const raw = await cli.run([...args, '--raw-addresses'])
    expect(raw.stderr).toContain('warning: this export shows the addresses of people')
    const seed = endpointKey(world.single.peers[0]?.endpoint as never)
    expect(records(readFileSync(output, 'utf8'))).toMatchObject([{ peer: seed, address: '127.0.0.1' }])
    const research = await cli.run([...args, '--research'])
    expect(research.stderr).toContain('warning')
    expect(records(readFileSync(output, 'utf8'))).toMatchObject([{ prefix: '127.0.0.0/24' }])
    expect(readFileSync(output, 'utf8')).not.toContain('127.0.0.1')

    expect(await cli.run([...args, '--research', '--raw-addresses'])).toMatchObject({ code: 2 })
    expect(await cli.run(['export', '--format', 'csv', '--store', store])).toMatchObject({ code: 2 })
    expect(await cli.run(['export', '--format', 'xlsx', '-o', 'x', '--store', store])).toMatchObject({ code: 2 })
    const unknown = await cli.run([...args.slice(0, -1), 'cd'.repeat(20)])
    expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining('swarmatlas swarms lists what is') })
    const unwritable = await cli.run(['export', '--format', 'csv', '-o', '/dev/null/x', '--store', store])
    expect(unwritable).toMatchObject({ code: 4, stderr: expect.stringContaining('choose another file') })
  })

  test('forgets, drops and rebuilds; what was exported keeps its pseudonyms until the key is destroyed', async ({
    cli,
    world,
  }) => {
    const store = await makeStore(cli, world)
    const run = (...args: string[]) => cli.run([...args, '--store', store])
    const output = join(cli.folder, 'x.ndjson')
    const pseudonyms = async () => {
      await run('export', '--format', 'ndjson', '-o', output)
      return records<{ peer: string }>(readFileSync(output, 'utf8')).map(({ peer }) => peer)
    }
    const before = await pseudonyms()
    expect(await run('rebuild')).toMatchObject({ code: 0, stdout: '1 round rebuilt\n' })
    const geo = JSON.parse((await run('rebuild', '--geo', '--json')).stdout)
    expect(geo).toMatchObject({ rounds: 1, notRedone: 0, database: { name: expect.stringContaining('GeoLite2') } })
    expect(await pseudonyms()).toEqual(before)

    expect(await run('prune')).toMatchObject({ code: 0, stdout: '0 addresses of 0 weeks dropped\nno round pruned\n' })
    expect(await run('prune', '--older-than', 'soon')).toMatchObject({ code: 2 })
    expect(await run('forget', '203.0.113.5')).toMatchObject({ code: 1 })
    expect(await run('forget')).toMatchObject({ code: 2 })
    expect(await run('forget', '--study-key')).toMatchObject({ code: 0 })
    const single = await run('prune', '--swarm', world.single.hashes.v1 as string, '--json')
    expect(JSON.parse(single.stdout).pruned.rounds).toEqual([1])
    const left = JSON.parse((await run('swarms', '--json')).stdout) as { peers: number; name: string }[]
    expect(left.filter(({ peers }) => peers > 0).map(({ name }) => name)).toEqual([CJK_NAME])

    // All peers of the simulated swarm live at one address.
    expect(await run('forget', '127.0.0.1')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+ endpoints of/),
    })
    expect(JSON.parse((await run('peers', '--json')).stdout)).toEqual([])
  })
})
