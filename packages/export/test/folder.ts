/** A folder for what one test writes, and exports into it. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { GraphView } from '@swarmatlas/core'
import { onTestFinished } from 'vitest'
import { type ExportOptions, type ExportResult, exportGraph } from '../src/index.ts'
import { pseudonyms } from './graph.ts'

export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'swarmatlas-export-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export function exportTo(
  output: string,
  view: GraphView,
  options: Partial<ExportOptions> & Pick<ExportOptions, 'format'>,
  signal: AbortSignal = new AbortController().signal,
): Promise<ExportResult> {
  return exportGraph(
    { view, pseudonyms },
    {
      detail: 'pseudonyms',
      evidence: 'handshaken',
      version: '1.2.3',
      command: `swarmatlas export --format ${options.format}`,
      database: { name: 'a test table', built: '2026-11-01', attribution: null },
      ...options,
      output,
    },
    { signal },
  )
}

/** Every file of a folder by name. */
export function filesIn(folder: string): Map<string, Buffer> {
  return new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]))
}

export function linesOf<T>(path: string): T[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T)
}
