/** The network, the store and the swarm misbehave: what a user is told. */
import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import type { Ended } from './cli.ts'
import { checkedSwarm } from './contract.ts'
import { test } from './fixtures.ts'

const HASH = '0123456789abcdef0123456789abcdef01234567'
const isRoot = process.getuid?.() === 0

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** A file system of this size; undefined where this user cannot mount one. */
function smallDisk(parent: string, size: string, onTestFinished: (handler: () => void) => void): string | undefined {
  const folder = join(parent, 'disk')
  mkdirSync(folder)
  if (!isRoot || spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder]).status !== 0)
    return undefined
  onTestFinished(() => void execFileSync('umount', ['-l', folder]))
  return folder
}

function expectTold({ code, stderr }: Ended, expected: number, ...words: (string | RegExp)[]): void {
  expect(stderr).not.toMatch(/^ +at |this is a bug|node:internal/m)
  for (const word of words) expect(stderr).toMatch(word)
  expect(code).toBe(expected)
}

describe.concurrent('the network', { timeout: 60_000 }, () => {
  test('where no bootstrap node answers: 3, and it says who was asked', async ({ cli }) => {
    const ended = await cli.run(['lookup', HASH, '--bootstrap', '127.0.0.1:9,127.0.0.1:19', '--allow-private'])
    expectTold(ended, 3, /the network cannot be used: .*127\.0\.0\.1:9, 127\.0\.0\.1:19/, /hint: .*UDP/)
  })

  test('without a route: 3, and the reason', async ({ cli, skip }) => {
    if (!isRoot || spawnSync('unshare', ['--net', 'true']).status !== 0) skip('needs root and unshare')
    const ended = await cli.run(['lookup', HASH, '--bootstrap', '127.0.0.1:40999', '--allow-private'], {
      under: ['unshare', '--net'],
    })
    expectTold(ended, 3, /the network cannot be used: .*ENETUNREACH/)
  })

  test('that forbids UDP: 3, and the reason', async ({ cli, skip }) => {
    if (!isRoot || spawnSync('unshare', ['--net', 'ip', 'link']).status !== 0) skip('needs root, unshare and ip')
    const ended = await cli.run(['lookup', HASH, '--bootstrap', '10.213.255.1:6881', '--allow-private'], {
      under: [
        'unshare',
        '--net',
        'sh',
        '-c',
        'ip link set lo up; ip route add prohibit 10.213.255.0/24; exec "$@"',
        '-',
      ],
      prefix: '10.213.255.0/24',
    })
    expectTold(ended, 3, /the network cannot be used: .*EACCES/)
  })

  test('where --bind is no address of this machine: 3', async ({ cli }) => {
    expectTold(
      await cli.run(['lookup', HASH, '--bind', '192.0.2.77']),
      3,
      /EADDRNOTAVAIL 192\.0\.2\.77/,
      /hint: .*--bind/,
    )
  })

  test('that works, but nobody is there: 1', async ({ cli, world }) => {
    const { code, stdout, stderr } = await cli.run([
      ...['lookup', world.empty.magnet, '--channels', 'tracker', ...world.options],
    ])
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
    expect(stdout).toContain('No peer was found')
  })
})

describe.concurrent('the store', { timeout: 60_000 }, () => {
  const lookup = (world: { single: { magnet: string }; options: readonly string[] }, store: string) => [
    ...['lookup', world.single.magnet, '--store', store, ...world.options],
  ]

  test('that another process holds: 4, and who that is', async ({ cli, world }) => {
    const store = join(cli.folder, 'store')
    const first = cli.start([...lookup(world, store), '--stay', '60s'])
    await first.until('stderr', /127\.0\.0\.1/)
    const second = await cli.run(['swarms', '--store', store])
    expectTold(second, 4, `the store is held by process ${first.child.pid} (lookup) on `, store)
    first.child.kill('SIGINT')
    expect((await first.ended).code).toBe(130)
    expect((await cli.run(['swarms', '--store', store])).code).toBe(0)
  })

  test('on a full disk: 4, at once', async ({ cli, world, skip, onTestFinished }) => {
    const disk = smallDisk(cli.folder, '4k', onTestFinished) ?? skip('needs root and mount')
    const ended = await cli.run(lookup(world, join(disk, 'store')))
    expectTold(ended, 4, /no space left for the store/, /hint: free some space/)
    expect(ended.stdout).toBe('')
  })

  test('on a disk that fills meanwhile: 4, and all that was found is printed', async ({
    cli,
    world,
    skip,
    onTestFinished,
  }) => {
    const disk = smallDisk(cli.folder, '256k', onTestFinished) ?? skip('needs root and mount')
    const running = cli.start([...lookup(world, join(disk, 'store')), '--stay', '5s'])
    await running.until('stderr', /127\.0\.0\.1/)
    spawnSync('dd', ['if=/dev/zero', `of=${join(disk, 'ballast')}`, 'bs=1k'])
    const ended = await running.ended
    expectTold(ended, 4, /no space left for the store/)
    expect(ended.stdout).toMatch(/^1 peer {2}/m)
  })

  test('that has no room for the map: 4, and the report is printed', async ({ cli, world, skip, onTestFinished }) => {
    const disk = smallDisk(cli.folder, '4k', onTestFinished) ?? skip('needs root and mount')
    const png = join(disk, 'world.png')
    const ended = await cli.run(['map', world.single.magnet, '--depth', 'quick', ...world.options, '-o', png])
    expectTold(ended, 4, `cannot write ${png}: ENOSPC`)
    expect(ended.stdout).toMatch(/^1 peer {2}/m)
  })

  test('that is a file: 4', async ({ cli, world }) => {
    const store = join(cli.folder, 'file')
    writeFileSync(store, 'mine')
    expectTold(await cli.run(lookup(world, store)), 4, `${store} is a file`)
  })

  test('in a folder that may not be written: 4', async ({ cli, world, skip }) => {
    if (isRoot) skip('root may write anywhere')
    const folder = join(cli.folder, 'locked')
    mkdirSync(folder)
    chmodSync(folder, 0o500)
    expectTold(await cli.run(lookup(world, join(folder, 'store'))), 4, folder)
  })

  test('in a folder with other files: 4, and nothing there is touched', async ({ cli, world }) => {
    writeFileSync(join(cli.folder, 'letter.txt'), 'mine')
    expectTold(await cli.run(lookup(world, cli.folder)), 4, 'is no store, but holds other files')
  })
})

describe.concurrent('a swarm that lies', { timeout: 60_000 }, () => {
  const withPeer = (hash: string, port: number) => [
    ...['lookup', `magnet:?xt=urn:btih:${hash}&x.pe=127.0.0.1:${port}`, '--channels', 'pex'],
    ...['--allow-private', '--profile', 'lab', '--stay', '2s', '--json'],
  ]

  test('a tracker that answers with a web page is named with what it did', async ({ cli, onTestFinished }) => {
    const server = createHttpServer((_, response) => response.setHeader('content-type', 'text/html').end('<html>Sorry'))
    onTestFinished(() => void server.close())
    const url = `http://127.0.0.1:${await listen(server)}/announce`
    const args = ['lookup', `magnet:?xt=urn:btih:${HASH}&tr=${encodeURIComponent(url)}`, '--channels', 'tracker']
    const { code, stdout, stderr } = await cli.run([...args, '--allow-private', '--json'])
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
    expect(checkedSwarm(JSON.parse(stdout)).trackers).toMatchObject([
      { url, outcome: 'bad-message', peers: 0, detail: expect.stringMatching(/HTML|web page|bencode/i) },
    ])
  })

  test('a peer that sends garbage is a peer that sent garbage', async ({ cli, onTestFinished }) => {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.end(Buffer.alloc(5_000, 0xa5))
    })
    onTestFinished(() => void server.close())
    const { stdout, stderr } = await cli.run(withPeer(HASH, await listen(server)))
    expect(stderr).toBe('')
    expect(checkedSwarm(JSON.parse(stdout))).toMatchObject({
      metadata: null,
      peers: [{ role: null, client: null, lastOutcome: 'bad-message' }],
    })
  })

  test('metadata whose hash does not match is refused, and the report says so', async ({ cli, onTestFinished }) => {
    const server = await liar()
    onTestFinished(() => void server.close())
    const { stdout, stderr } = await cli.run(withPeer(HASH, (server.address() as AddressInfo).port))
    expect(stderr).toBe('')
    expect(checkedSwarm(JSON.parse(stdout))).toMatchObject({
      metadata: null,
      metadataError: { code: 'bad-metadata', message: expect.stringMatching(/hash/) },
      peers: [{ evidence: expect.stringMatching(/handshaken|role-known/) }],
    })
  })
})

/** A peer that offers metadata (BEP 9) of another torrent. */
async function liar(): Promise<Server> {
  const metadata = Buffer.from('d6:lengthi1e4:name4:evil12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae')
  const message = (id: number, payload: Buffer | string) => {
    const body = Buffer.concat([Buffer.from([20, id]), Buffer.from(payload)])
    const head = Buffer.alloc(4)
    head.writeUInt32BE(body.length)
    return Buffer.concat([head, body])
  }
  const server = createServer((socket) => {
    socket.on('error', () => {})
    let received = Buffer.alloc(0)
    let greeted = false
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes])
      if (!greeted && received.length >= 68) {
        greeted = true
        const reserved = Buffer.from([0, 0, 0, 0, 0, 0x10, 0, 0])
        const id = Buffer.from('-LI0001-aaaaaaaaaaaa')
        socket.write(Buffer.concat([received.subarray(0, 20), reserved, received.subarray(28, 48), id]))
        socket.write(message(0, `d1:md11:ut_metadatai3ee13:metadata_sizei${metadata.length}e1:v4:Liare`))
      }
      // The asker's id for ut_metadata stands in its extension handshake.
      const theirs = /11:ut_metadatai(\d+)e/.exec(received.toString('latin1'))?.[1]
      if (theirs !== undefined && received.includes('8:msg_typei0e')) {
        received = received.subarray(received.length)
        const dict = `d8:msg_typei1e5:piecei0e10:total_sizei${metadata.length}ee`
        socket.write(message(Number(theirs), Buffer.concat([Buffer.from(dict), metadata])))
      }
    })
  })
  await listen(server)
  return server
}
