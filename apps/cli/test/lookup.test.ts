import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { endpointKey } from '@swarmatlas/core'
import stringWidth from 'string-width'
import { describe, expect } from 'vitest'
import { checkedSwarm } from './contract.ts'
import { test } from './fixtures.ts'
import { CJK_NAME } from './swarm.ts'

const widest = (text: string) => Math.max(...text.split('\n').map((line) => stringWidth(line)))
const objects = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))

describe.concurrent('lookup --json', { timeout: 60_000 }, () => {
  test('prints one document as promised, and it is the truth', async ({ cli, world }) => {
    const beforeMs = Date.now()
    const { code, stdout, stderr } = await cli.run(['lookup', world.open.magnet, '--json', ...world.options])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const report = checkedSwarm(JSON.parse(stdout))
    expect(report).toMatchObject({
      target: expect.stringMatching(/^magnet:/),
      infoHash: world.open.hashes.v1,
      infoHashV2: world.open.hashes.v2,
      private: false,
      metadata: { name: CJK_NAME, totalBytes: 90_000_006, pieceLength: 65_536 },
      gaps: [],
    })
    expect(
      new Map(report.metadata.files.map(({ path, bytes }: { path: string; bytes: number }) => [path, bytes])),
    ).toEqual(new Map(world.open.spec.files.map(({ path, bytes }) => [`${CJK_NAME}/${path}`, bytes])))
    const byKey = new Map(report.peers.map((peer: { address: string; port: number }) => [endpointKey(peer), peer]))
    expect(new Set(byKey.keys())).toEqual(new Set(world.open.peers.map((peer) => endpointKey(peer.endpoint))))
    for (const { endpoint, spec, alive, peerId } of world.open.peers) {
      expect(byKey.get(endpointKey(endpoint)), spec.name).toMatchObject(
        alive
          ? {
              evidence: 'role-known',
              role: spec.role,
              client: spec.client,
              peerId,
              transport: 'tcp',
              encryption: 'plain',
            }
          : {
              evidence: 'corroborated',
              role: null,
              client: null,
              peerId: null,
              transport: null,
              lastOutcome: 'refused',
            },
      )
    }
    // It counts from the start of the process, which is before anything was sent and after the test began.
    expect(report.startedMs).toBeGreaterThanOrEqual(beforeMs - 1)
    expect(report.metadata.afterMs).toBeGreaterThan(50)
    expect(report.elapsedMs).toBeLessThanOrEqual(Date.now() - beforeMs + 1)
  })

  test('of a swarm without peers says why there is no metadata, and exits with 1', async ({ cli, world }) => {
    const { code, stdout } = await cli.run([
      'lookup',
      world.empty.magnet,
      '--json',
      '--channels',
      'tracker',
      ...world.options,
    ])
    expect(code).toBe(1)
    expect(checkedSwarm(JSON.parse(stdout))).toMatchObject({
      metadata: null,
      metadataError: { code: 'no-peers' },
      peers: [],
    })
  })

  test('does not dial without pex among the channels', async ({ cli, world }) => {
    const { stdout } = await cli.run(['lookup', world.open.magnet, '--json', '--channels', 'tracker', ...world.options])
    const report = checkedSwarm(JSON.parse(stdout))
    expect(new Set(report.peers.map((peer: { lastOutcome: string }) => peer.lastOutcome))).toEqual(
      new Set(['not-tried']),
    )
    expect(report.counts.byChannel).toEqual({ tracker: 4 })
  })
})

describe.concurrent('lookup --ndjson', { timeout: 60_000 }, () => {
  test('streams objects with type and atMs, the report last', async ({ cli, world }) => {
    const { code, stdout, stderr } = await cli.run(['lookup', world.single.magnet, '--ndjson', ...world.options])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const events = objects(stdout)
    for (const event of events) expect(event).toMatchObject({ type: expect.any(String), atMs: expect.any(Number) })
    const types = events.map((event) => event.type)
    expect(types[0]).toBe('round-started')
    expect(types.at(-1)).toBe('report')
    expect(types).toEqual(
      expect.arrayContaining(['peer', 'observation', 'visit', 'tracker', 'lookup', 'metadata', 'round-ended']),
    )
    checkedSwarm(events.at(-1).report)
  })

  test('into a reader that leaves ends without a word', async ({ cli, world }) => {
    const { child, ended } = cli.start(['lookup', world.single.magnet, '--ndjson', ...world.options])
    await once(child.stdout, 'data')
    child.stdout.destroy()
    const { code, stderr } = await ended
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })
})

describe.concurrent('lookup for a person', { timeout: 60_000 }, () => {
  test('reports within 80 columns, without colours where it is no terminal; progress goes to stderr', async ({
    cli,
    world,
  }) => {
    const { code, stdout, stderr } = await cli.run(['lookup', world.open.magnet, ...world.options])
    expect(code).toBe(0)
    expect(widest(stdout)).toBeLessThanOrEqual(80)
    expect(widest(stderr)).toBeLessThanOrEqual(80)
    expect(stdout + stderr).not.toContain('\u001b')
    expect(stdout.replaceAll(/\s/g, '')).toContain(CJK_NAME.replaceAll(' ', ''))
    for (const { endpoint, alive } of world.open.peers) {
      const line = stdout.split('\n').find((each) => each.includes(endpointKey(endpoint)) && each.startsWith('  '))
      expect(line).toContain(alive ? '' : '(refused)')
    }
    expect(stdout).toMatch(/^6 peers {2}5 handshaken · 2 seeds · 3 leeches · 1 role unknown$/m)
    expect(stdout).toContain('夜景.jpg')
    // Peers as they come stand on stderr alone.
    expect(stderr).toMatch(/^ *\d.* s {2}127\.0\.0\.1:\d+ +(dht|tracker)$/m)
    expect(stdout).not.toMatch(/^ *[\d.]+ s {2}/m)
  })

  test('on a terminal uses colours, unless NO_COLOR is set', async ({ cli, world, skip }) => {
    if (spawnSync('script', ['--version']).error !== undefined) skip('needs script of util-linux')
    const onTerminal = (env: Record<string, string>) =>
      cli.run(['lookup', world.single.magnet, ...world.options], { terminal: true, env: { TERM: 'xterm', ...env } })
    const coloured = await onTerminal({})
    const plain = await onTerminal({ NO_COLOR: '1' })
    expect(coloured.stdout).toContain('\u001b[1msingle.iso\u001b[22m')
    expect(plain.stdout).toContain('single.iso')
    // Redrawing the progress line is no colour.
    expect(plain.stdout.replaceAll('\r\u001b[2K', '')).not.toContain('\u001b')
  })
})

describe.concurrent('lookup takes its target', { timeout: 60_000 }, () => {
  test('from standard input', async ({ cli, world }) => {
    const stdin = `  "${world.single.magnet}"\n`
    const { code, stdout } = await cli.run(['lookup', '-', '--json', ...world.options], { stdin })
    expect(code).toBe(0)
    expect(JSON.parse(stdout).infoHash).toBe(world.single.hashes.v1)
  })

  test('from a .torrent file', async ({ cli, world }) => {
    const file = join(cli.folder, 'single.torrent')
    writeFileSync(file, world.single.torrentFile)
    const { code, stdout } = await cli.run(['lookup', file, '--json', ...world.options])
    expect(code).toBe(0)
    expect(checkedSwarm(JSON.parse(stdout))).toMatchObject({
      target: file,
      metadata: { name: 'single.iso', from: null, afterMs: 0 },
      counts: { seeds: 1 },
    })
  })

  test('as a bare info-hash', async ({ cli, world }) => {
    const { stdout } = await cli.run(['lookup', world.single.hashes.v1 as string, '--json', ...world.options])
    expect(checkedSwarm(JSON.parse(stdout))).toMatchObject({ metadata: { name: 'single.iso' }, trackers: [] })
  })
})

describe('lookup of a private torrent', { timeout: 60_000 }, () => {
  test('given as a .torrent sends nothing, and says so', async ({ cli, world }) => {
    const file = join(cli.folder, 'hidden.torrent')
    writeFileSync(file, world.private.torrentFile)
    const { counters } = world.swarm
    const before = { ...counters, dhtQueriesByNode: counters.dhtQueriesByNode.size }
    const { code, stdout, stderr } = await cli.run(['lookup', file, ...world.options])
    expect({ ...counters, dhtQueriesByNode: counters.dhtQueriesByNode.size }).toEqual(before)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/hidden\.iso is a private torrent: nothing was sent/)
    expect(stderr).toMatch(/--private-ok/)
  })

  test('with --private-ok asks its trackers, never the DHT', async ({ cli, world }) => {
    const file = join(cli.folder, 'hidden.torrent')
    writeFileSync(file, world.private.torrentFile)
    const { dhtGetPeersByHash } = world.swarm.counters
    const { code, stdout } = await cli.run(['lookup', file, '--private-ok', '--json', ...world.options])
    expect(code).toBe(0)
    expect(checkedSwarm(JSON.parse(stdout))).toMatchObject({
      private: true,
      counts: { seeds: 1, byChannel: { tracker: 1 } },
    })
    expect(dhtGetPeersByHash.has(world.private.hashes.v1 as never)).toBe(false)
  })
})

describe.concurrent('Ctrl-C', { timeout: 60_000 }, () => {
  test('once prints what is known and exits with 130', async ({ cli, world }) => {
    const { child, until, ended } = cli.start(['lookup', world.open.magnet, ...world.options, '--stay', '60s'])
    await until('stderr', /127\.0\.0\.1:\d+ +dht/)
    child.kill('SIGINT')
    const { code, stdout, stderr } = await ended
    expect(code).toBe(130)
    expect(stderr).toContain('Ctrl-C again to stop now')
    expect(stdout).toMatch(/^\d peers? {2}/m)
  })

  test('twice stops now', async ({ cli, world }) => {
    const { child, until, ended } = cli.start(['lookup', world.open.magnet, ...world.options, '--stay', '60s'])
    await until('stderr', /127\.0\.0\.1:\d+ +dht/)
    child.kill('SIGINT')
    await until('stderr', /Ctrl-C again/)
    child.kill('SIGINT')
    const { code, stdout } = await ended
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' })
  })
})

test.concurrent('a second lookup within the tracker’s minimum interval says so, and ends well', async ({
  cli,
  world,
}) => {
  const first = await cli.run(['lookup', world.single.magnet, '--json', ...world.options])
  expect(first.code).toBe(0)
  const second = await cli.run(['lookup', world.single.magnet, ...world.options])
  expect(second.code).toBe(0)
  const trackers = second.stdout.slice(second.stdout.indexOf('Trackers'), second.stdout.indexOf('\nPeers'))
  expect(trackers).toMatch(/wait|interval|again/)
})
