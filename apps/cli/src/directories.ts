/** Where things are kept: the XDG directories, and their like on other systems. */
import { homedir } from 'node:os'
import { join } from 'node:path'

function base(variable: string, onWindows: string | undefined, ...fallback: string[]): string {
  const named = process.env[variable] || (process.platform === 'win32' ? onWindows : undefined)
  return join(named ?? join(homedir(), ...fallback), 'swarmatlas')
}

export function defaultStoreDir(): string {
  return base('XDG_DATA_HOME', process.env.LOCALAPPDATA, '.local', 'share')
}

/** What one process must remember for the next: open announces and tracker intervals. */
export function stateDir(): string {
  return base('XDG_STATE_HOME', process.env.LOCALAPPDATA, '.local', 'state')
}
