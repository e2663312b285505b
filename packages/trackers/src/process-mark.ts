/**
 * Marks of processes: the process id, and on Linux when the process started, so that a pid that was given out again
 * (every container's first process is 1) is told from its former holder. Elsewhere a reused pid looks alive: what its
 * former holder owes waits until the pid is free.
 */
import { readFileSync } from 'node:fs'

export type ProcessMark = string

export function markOf(pid: number): ProcessMark {
  return `${pid} ${startOf(pid)}`
}

/** True when the process that the mark names has ended. */
export function isGone(mark: ProcessMark, isAlive: (pid: number) => boolean): boolean {
  const [pidText = '', start] = mark.split(' ')
  const pid = Number(pidText)
  if (!isAlive(pid)) return true
  const now = startOf(pid)
  return now !== '' && start !== '' && now !== start
}

/** A text that is another one for each process that ever had this pid; empty where the system does not tell. */
function startOf(pid: number): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').slice(0, 8)
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // proc(5): field 22 is the start time in ticks since boot; field 2, in brackets, may hold spaces.
    const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
    return `${boot}-${ticks}`
  } catch {
    return ''
  }
}
