/** The journal's lines: one JSON object each. A line that is no record (torn by a crash, say) is passed over. */
import { parseInfoHash } from '@swarmatlas/core'
import type { JournalRecord } from './announce-history.ts'

type Kind = 'text' | 'number' | 'number?' | 'text?'
type FieldsOf<T extends JournalRecord['type']> = Record<
  Exclude<keyof Extract<JournalRecord, { type: T }>, 'type' | 'atMs' | 'url' | 'swarm'>,
  Kind
>

const FIELDS: { readonly [T in JournalRecord['type']]: FieldsOf<T> } = {
  opened: {
    address: 'text',
    owner: 'text',
    peerId: 'text',
    port: 'number',
    key: 'number',
    left: 'number',
    attempts: 'number?',
  },
  replied: { intervalS: 'number', minIntervalS: 'number?', trackerId: 'text?' },
  failed: { failures: 'number', retryInS: 'number?' },
  stopped: { address: 'text', owner: 'text' },
  'stop-failed': { address: 'text', owner: 'text', attempts: 'number' },
}

/** A line begins with a line break too: should the file end in a torn line, the new one is not lost with it. */
export function formatLine(record: JournalRecord): string {
  return `\n${JSON.stringify(record)}\n`
}

export function parseLine(line: string): JournalRecord | undefined {
  let value: Record<string, unknown>
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { type, atMs, url, swarm } = value
  if (typeof type !== 'string' || !Object.hasOwn(FIELDS, type)) return undefined
  if (typeof atMs !== 'number' || typeof url !== 'string' || parseInfoHash(String(swarm)) === undefined)
    return undefined
  const fields: [string, Kind][] = Object.entries(FIELDS[type as JournalRecord['type']])
  return fields.every(([name, kind]) => fits(value[name], kind)) ? (value as JournalRecord) : undefined
}

function fits(value: unknown, kind: Kind): boolean {
  if (value === undefined) return kind.endsWith('?')
  return kind.startsWith('text') ? typeof value === 'string' : Number.isFinite(value)
}
