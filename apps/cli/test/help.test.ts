import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import stringWidth from 'string-width'
import { describe, expect } from 'vitest'
import { test } from './fixtures.ts'

const commands = [
  ...['lookup', 'map', 'swarms', 'peers', 'rounds', 'edges', 'explain', 'export', 'prune', 'forget', 'rebuild'],
  ...['geo', 'demo', 'completion'],
]
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
const traceLoads = new URL('trace-loads.ts', import.meta.url).href

describe.concurrent('help', { timeout: 60_000 }, () => {
  test('lists every command', async ({ cli }) => {
    const { code, stdout, stderr } = await cli.run(['--help'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const listed = [...stdout.matchAll(/^ {2}([a-z]+) .*$/gm)].map(([, name]) => name)
    expect(listed).toEqual([...commands, 'help'])
    expect(stdout).toMatch(/^Example:\n {2}\$ swarmatlas /m)
  })

  for (const command of commands) {
    test(`of ${command} shows an example, in 80 columns`, async ({ cli }) => {
      const { code, stdout, stderr } = await cli.run([command, '--help'])
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toMatch(new RegExp(`^Example:\\n(  \\$ .*\\n)*  \\$ .*swarmatlas ${command}`, 'm'))
      expect(stdout.split('\n').filter((line) => stringWidth(line) > 80)).toEqual([])
    })
  }

  test('and version load nothing of what only a round needs', async ({ cli }) => {
    for (const args of [['--version'], ['map', '--help']]) {
      const trace = join(cli.folder, `${args.length}${args[0]}`)
      const { stdout } = await cli.run(args, { preload: traceLoads, env: { TRACE_LOADS: trace } })
      expect(stdout).not.toBe('')
      const loaded = readFileSync(trace, 'utf8').trim().split('\n')
      expect(loaded.some((url) => url.includes('/commander/'))).toBe(true)
      const heavy =
        /packages\/(mapper|render|export|geo|peer-graph|dht-crawler|trackers|pex-harvester|sim-swarm)\/|geoip/
      expect(loaded.filter((url) => heavy.test(url))).toEqual([])
    }
  })

  test('--version', async ({ cli }) => {
    expect(await cli.run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
  })
})

test('the file that package.json names as the command runs the build', ({ skip }) => {
  if (!existsSync(new URL('../dist/main.js', import.meta.url))) skip('not built (npm run build)')
  const bin = fileURLToPath(new URL('../bin/swarmatlas.js', import.meta.url))
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, '--version'], { encoding: 'utf8' })
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' })
})

describe.concurrent('completion', { timeout: 60_000 }, () => {
  test('for bash completes commands, options and their values', async ({ cli }) => {
    const { stdout } = await cli.run(['completion', 'bash'])
    const script = join(cli.folder, 'completion.bash')
    writeFileSync(script, stdout)
    const complete = (...words: string[]) => {
      const ask = `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _swarmatlas; printf '%s\\n' "\${COMPREPLY[@]}"`
      const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', ask, script, 'swarmatlas', ...words], {
        encoding: 'utf8',
      })
      expect(stderr).toBe('')
      return stdout.trim().split('\n')
    }
    expect(complete('')).toEqual([...commands, '--help', '--version'])
    expect(complete('lo')).toEqual(['lookup'])
    expect(complete('map', '--th')).toEqual(['--theme'])
    expect(complete('map', '--theme', '')).toEqual(['light', 'dark'])
    expect(complete('lookup', 'magnet.txt', '--dea')).toEqual(['--deadline'])
    expect(complete('lookup', 'x')).toEqual([''])
  })

  test('scripts have no syntax error', async ({ cli, skip }) => {
    const missing: string[] = []
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { code, stdout } = await cli.run(['completion', shell])
      expect(code).toBe(0)
      for (const command of commands) expect(stdout).toContain(command)
      const script = join(cli.folder, `completion.${shell}`)
      writeFileSync(script, stdout)
      const { error, status, stderr } = spawnSync(shell, ['-n', script], { encoding: 'utf8' })
      if (error === undefined) expect({ shell, status, stderr }).toEqual({ shell, status: 0, stderr: '' })
      else missing.push(shell)
    }
    if (missing.length > 0) skip(`not installed: ${missing.join(', ')}`)
  })

  test('for no such shell is refused', async ({ cli }) => {
    const { code, stderr } = await cli.run(['completion', 'tcsh'])
    expect(code).toBe(2)
    expect(stderr).toContain('bash, zsh, fish')
  })
})
