import { readFileSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import stringWidth from 'string-width'
import { expect } from 'vitest'
import { checkedSwarm } from './contract.ts'
import { test } from './fixtures.ts'

test.concurrent('demo finds everybody, says so in 80 columns, and its last line is the map', async ({ cli }) => {
  const { code, stdout } = await cli.run(['demo', '--store', join(cli.folder, 'store')])
  expect(code).toBe(0)
  expect(stdout).toContain('Recall 100.0 %')
  expect(stdout).toContain('made-up places')
  const lines = stdout.trimEnd().split('\n')
  const last = lines.at(-1) as string
  expect(isAbsolute(last)).toBe(true)
  expect(readFileSync(last).subarray(1, 4).toString()).toBe('PNG')
  // The magnet and the path stay whole, so that they can be copied.
  const wide = lines.filter((line) => stringWidth(line) > 80 && !line.startsWith('magnet:') && line !== last)
  expect(wide).toEqual([])
})

test.concurrent('demo --json prints the report with its recall', async ({ cli }) => {
  const { code, stdout, stderr } = await cli.run(['demo', '--json'], { env: { TMPDIR: cli.folder } })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const report = JSON.parse(stdout)
  checkedSwarm(report)
  expect(report.recall).toMatchObject({ recall: 1, falseEndpoints: 0 })
  expect(report.recall.rolesRight).toBe(report.recall.rolesKnown)
  expect(report.files[0]).toMatch(/\.png$/)
})
