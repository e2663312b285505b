import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { encodeBencode, limits } from '@swarmatlas/core'
import { nodeClock } from '@swarmatlas/core/node'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { JournalRecord } from '../src/announce-history.ts'
import { openTrackerJournal } from '../src/index.ts'
import { formatLine, parseLine } from '../src/journal-lines.ts'
import { isGone, markOf } from '../src/process-mark.ts'
import { eventsOf, forever, harness, httpServer, SWARM } from './harness.ts'

let directory = ''
let path = ''
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'swarmatlas-journal-'))
  path = join(directory, 'sub', 'announces.ndjson')
})
afterEach(() => rm(directory, { recursive: true, force: true }))

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const openJournal = () => openTrackerJournal({ path, clock: nodeClock, pid: process.pid, isAlive })

function replied(url: string): JournalRecord {
  return { type: 'replied', atMs: nodeClock.now(), url, swarm: SWARM, intervalS: 60 }
}

describe('the journal file', () => {
  test('is for its owner alone, and its records are there for the next process', async () => {
    const first = await openJournal()
    await first.append(replied('http://t.example/secret'))
    await first.close()
    await first.close()
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    const second = await openJournal()
    expect((await second.load()).pair('http://t.example/secret', SWARM).reply).toMatchObject({ intervalS: 60 })
    await second.close()
  })

  test('what several processes write at once is all there, and each sees it', async () => {
    const journals = await Promise.all([openJournal(), openJournal(), openJournal()])
    const urls = Array.from({ length: 300 }, (_, i) => `http://t.example/${i}`)
    await Promise.all(urls.map((url, i) => journals[i % 3]?.append(replied(url))))
    for (const journal of journals) {
      const history = await journal.load()
      expect(urls.filter((url) => history.pair(url, SWARM).reply === undefined)).toEqual([])
      await journal.close()
    }
  })

  test('a torn last line costs neither what stands before it nor what comes after', async () => {
    const first = await openJournal()
    await first.append(replied('http://before.example'))
    await first.close()
    await appendFile(path, formatLine(replied('http://torn.example')).slice(0, -20))
    const second = await openJournal()
    await second.append(replied('http://after.example'))
    const history = await second.load()
    const known = ['before', 'torn', 'after'].filter((name) => history.pair(`http://${name}.example`, SWARM).reply)
    expect(known).toEqual(['before', 'after'])
    await second.close()
  })

  test('lines that are no records are passed over', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (line) => void parseLine(line)))
    for (const change of [{ type: 'x' }, { type: 'constructor' }, { swarm: 'x' }, { atMs: '1' }, { intervalS: null }]) {
      expect(parseLine(JSON.stringify({ ...replied('http://t.example'), ...change }))).toBeUndefined()
    }
    expect(parseLine(formatLine(replied('http://t.example')).trim())).toMatchObject({ url: 'http://t.example' })
  })

  test('is compacted when large, under the hands of a process that writes to it; nothing is lost', async () => {
    const writer = await openJournal()
    await writer.append({
      type: 'opened',
      atMs: nodeClock.now(),
      url: 'udp://t.example:1',
      swarm: SWARM,
      address: '1.2.3.4',
      owner: '1 x',
      peerId: '00'.repeat(20),
      port: 1,
      key: 2,
      left: 3,
    })
    const line = formatLine(replied('http://often.example'))
    await appendFile(path, line.repeat(Math.ceil(limits.trackerJournalBytes / line.length) + 1))
    const before = (await stat(path)).size
    const urls = Array.from({ length: 100 }, (_, i) => `http://t.example/${i}`)
    const [compactor] = await Promise.all([openJournal(), ...urls.map((url) => writer.append(replied(url)))])
    expect((await stat(path)).size).toBeLessThan(before / 10)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    await writer.append(replied('http://late.example'))
    for (const journal of [compactor, writer]) {
      const history = await journal.load()
      const expected = [...urls, 'http://often.example', 'http://late.example']
      expect(expected.filter((url) => history.pair(url, SWARM).reply === undefined)).toEqual([])
      expect([...history.open()]).toMatchObject([{ address: '1.2.3.4' }])
      await journal.close()
    }
  })

  test('cannot be opened: an error with a code that names the file', async () => {
    await writeFile(join(directory, 'sub'), 'a file where a directory should be')
    await expect(openJournal()).rejects.toMatchObject({ code: 'WRITE_FAILED', message: expect.stringContaining(path) })
  })
})

test('a pid that was given out again is told from its former holder, where the system says when a process started', () => {
  const mark = markOf(process.pid)
  expect(isGone(mark, () => true)).toBe(false)
  expect(isGone(mark, () => false)).toBe(true)
  const [pid, start] = mark.split(' ')
  expect(isGone(`${pid} ${start}0`, () => true)).toBe(start !== '')
})

describe('after kill -9', () => {
  test('the next process sends stopped, as who announced, and only then may announce again', async () => {
    await using server = await httpServer((_, response) => response.end(encodeBencode({ interval: 1800 })))
    const url = `${server.origin}/announce`
    const child = spawn(
      process.execPath,
      [
        '--import',
        'tsx',
        '--conditions=@swarmatlas/source',
        fileURLToPath(new URL('./announce-and-hang.ts', import.meta.url)),
        path,
        url,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'], cwd: import.meta.dirname },
    )
    await once(child.stdout, 'data')
    expect(eventsOf(server.requests)).toEqual(['started'])
    const journal = await openJournal()
    await using us = harness({ journal })
    expect(await us.client.settleDebts({ signal: forever() })).toBe(0)

    child.kill('SIGKILL')
    await once(child, 'exit')
    expect((await us.announce(url)).report.outcome).toBe('over-budget')
    expect(await us.client.settleDebts({ signal: forever() })).toBe(1)
    expect(await us.client.settleDebts({ signal: forever() })).toBe(0)
    expect(eventsOf(server.requests)).toEqual(['started', 'stopped'])
    const [started, stopped] = server.requests.map((request) => new URLSearchParams(request.split('?')[1]))
    for (const name of ['peer_id', 'port', 'key', 'info_hash']) expect(stopped?.get(name)).toBe(started?.get(name))
    expect((await us.announce(url)).report.outcome).toBe('ok')
    await us.client.close()
    await journal.close()
    expect(await readFile(path, 'utf8')).toContain('"stopped"')
  })
})
