import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import type { Ended } from './cli.ts'
import { test } from './fixtures.ts'

const HASH = '0123456789abcdef0123456789abcdef01234567'

/** A message of its own that names the thing, nothing on stdout, no stack. */
function expectRefusal({ code, stdout, stderr }: Ended, expected: number, ...words: string[]): void {
  expect({ code, stdout }).toEqual({ code: expected, stdout: '' })
  for (const word of words) expect(stderr).toContain(word)
  expect(stderr).not.toMatch(/^ +at |this is a bug|node:internal/m)
  expect(stderr.split('\n').length).toBeLessThanOrEqual(8)
}

describe.concurrent('a bad target', { timeout: 60_000 }, () => {
  const cases: readonly (readonly [what: string, target: string, ...words: string[]])[] = [
    ['that is no magnet', 'hello', "'hello' is not a target", 'A target is a magnet link'],
    ['with an info-hash of unknown length', 'abcdef0123', 'unknown info-hash of 10 hex digits'],
    ['cut at & by the shell', 'magnet:?dn=Ubuntu', 'no info-hash', 'Put it in quotes'],
    [
      'that is what the shell left of a magnet',
      'tr=http://t.example/secret',
      "'tr=…' is a piece of a magnet",
      'quotes',
    ],
    ['that is a URL', 'https://example.org/a.torrent', 'a URL is not a target'],
    ['that is a file which is not there', 'no/such.torrent', 'no/such.torrent: there is no such file'],
  ]
  for (const [what, target, ...words] of cases) {
    test(what, async ({ cli }) => expectRefusal(await cli.run(['lookup', target]), 2, ...words))
  }

  test('on an empty standard input', async ({ cli }) => {
    expectRefusal(await cli.run(['lookup', '-'], { stdin: '\n' }), 2, 'standard input: no target came')
  })

  test('that is missing', async ({ cli }) => {
    expectRefusal(await cli.run(['lookup']), 2, "missing required argument 'target'")
    expectRefusal(await cli.run(['map']), 2, 'no target was given', '--list FILE')
  })
})

describe.concurrent('a bad .torrent file', { timeout: 60_000 }, () => {
  const cases: readonly (readonly [what: string, content: string | Uint8Array, ...words: string[]])[] = [
    ['that is a web page', '<!DOCTYPE html><html>login</html>', 'a web page instead of a torrent'],
    ['that holds a magnet', `magnet:?xt=urn:btih:${HASH}`, 'a magnet link in a text file'],
    ['that is cut off', 'd4:infod4:name3:abc', 'bad.torrent'],
    ['with terminal codes in it', 'd4:infod4:name4:\u001b[2Jee', 'bad.torrent'],
  ]
  for (const [what, content, ...words] of cases) {
    test(what, async ({ cli }) => {
      const file = join(cli.folder, 'bad.torrent')
      writeFileSync(file, content)
      const ended = await cli.run(['lookup', file])
      expectRefusal(ended, 2, file, ...words)
      expect(ended.stderr).not.toContain('\u001b')
    })
  }

  test('that is a directory', async ({ cli }) => {
    const folder = join(cli.folder, 'folder.torrent')
    mkdirSync(folder)
    expectRefusal(await cli.run(['lookup', folder]), 2, `${folder}: it is a directory`)
  })
})

describe.concurrent('a bad list', { timeout: 60_000 }, () => {
  test('with line 17 malformed names the line, and sends nothing for the others', async ({ cli }) => {
    const list = join(cli.folder, 'list.txt')
    writeFileSync(list, [...Array(16).fill(HASH), 'magnet:?xt=urn:btih:123', HASH].join('\n'))
    const ended = await cli.run(['map', '--list', list, '--bootstrap', '127.0.0.1:9'])
    expectRefusal(ended, 2, `${list}: line 17: unknown info-hash of 3 hex digits`)
  })

  test('with nothing but comments', async ({ cli }) => {
    const list = join(cli.folder, 'list.txt')
    writeFileSync(list, '# nothing\n\n')
    expectRefusal(await cli.run(['map', '--list', list]), 2, `${list}: the list names no target`)
  })

  test('that is not there', async ({ cli }) => {
    expectRefusal(await cli.run(['map', '--list', 'no-list.txt']), 2, 'cannot read the list file no-list.txt')
  })

  test('with a bad .torrent names that file', async ({ cli }) => {
    const list = join(cli.folder, 'list.txt')
    writeFileSync(join(cli.folder, 'web.torrent'), '<html>')
    writeFileSync(list, `${HASH}\n./web.torrent\n`)
    expectRefusal(await cli.run(['map', '--list', list]), 2, join(cli.folder, 'web.torrent'), 'a web page')
  })
})

describe.concurrent('a bad option', { timeout: 60_000 }, () => {
  const cases: readonly (readonly [args: string[], ...words: string[]])[] = [
    [['--chanels', 'dht'], "unknown option '--chanels'", '--channels'],
    [['--channels', 'dht,xyz'], '--channels: no channel is called "xyz"', 'dht, tracker, pex'],
    [['--bootstrap', 'nohost'], '--bootstrap: "nohost" is no host:port'],
    [['--bind', 'eth0'], '--bind: "eth0" is no IP address'],
    [['--deadline', 'soon'], '--deadline: "soon" is no duration', '60s, 2m or 1h'],
    [['--stay', '1h'], '--stay: at most 95s'],
    [['--depth', 'deep'], "'--depth <depth>' argument 'deep' is invalid", 'quick, thorough'],
    [['--bind', '127.0.0.1', '--ipv6'], '--bind 127.0.0.1 is not an IPv6 address'],
    [['--json', '--ndjson'], "'--json' cannot be used with option '--ndjson'"],
    [['--opt-out', 'no-such-file'], '--opt-out: cannot read no-such-file'],
    [['--blocklist', 'no-such-file'], '--blocklist: cannot read no-such-file'],
    [['--listen', '80'], '--listen: "80" is no port from 1024 to 65535'],
    [['--listen', 'any'], '--listen: "any" is no port'],
  ]
  for (const [args, ...words] of cases) {
    test(args.join(' '), async ({ cli }) => {
      expectRefusal(await cli.run(['lookup', HASH, '--bootstrap', '127.0.0.1:9', ...args]), 2, ...words)
    })
  }

  test('an opt-out list that is malformed names its line', async ({ cli }) => {
    const file = join(cli.folder, 'opt-out.txt')
    writeFileSync(file, '192.0.2.0/24\nnot an address\n')
    expectRefusal(await cli.run(['lookup', HASH, '--opt-out', file]), 2, 'line 2: not an address')
  })

  test('a blocklist that is malformed names file and line', async ({ cli }) => {
    const file = join(cli.folder, 'level1.p2p')
    writeFileSync(file, 'Some company:192.0.2.0-192.0.2.9\nAnother:192.0.2.77\n')
    expectRefusal(await cli.run(['lookup', HASH, '--blocklist', file]), 2, 'level1.p2p, line 2:')
  })

  test('of other commands', async ({ cli }) => {
    expectRefusal(await cli.run(['geo', 'example.org']), 2, '"example.org" is no IP address')
    expectRefusal(await cli.run(['peers', '--round', 'x']), 2, '--round: "x" is neither')
    expectRefusal(await cli.run(['lokup', HASH]), 2, "unknown command 'lokup'", 'lookup')
    expect(await cli.run([])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('Usage: swarmatlas'),
    })
  })
})
