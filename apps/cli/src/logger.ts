/** Log lines on standard error, for a person to read. */
import { type Logger, printable } from '@swarmatlas/core'

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

export function stderrLogger({ level, write }: { level: LogLevel; write(line: string): void }): Logger {
  const log =
    (at: Exclude<LogLevel, 'silent'>) =>
    (message: string, fields: Record<string, unknown> = {}) => {
      if (logLevels.indexOf(at) < logLevels.indexOf(level)) return
      const pairs = Object.entries(fields).map(([key, value]) => ` ${key}=${shown(value)}`)
      write(`${at.padEnd(5)} ${message}${pairs.join('')}`)
    }
  return { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') }
}

function shown(value: unknown): string {
  const text = printable(typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value)))
  return /[\s"=]/.test(text) ? JSON.stringify(text) : text
}
