/** A process that announces and then hangs, to be killed: `announce-and-hang.ts JOURNAL URL`. */
import { nodeClock } from '@swarmatlas/core/node'
import { openTrackerJournal } from '../src/index.ts'
import { harness } from './harness.ts'

const [path = '', url = ''] = process.argv.slice(2)
const journal = await openTrackerJournal({ path, clock: nodeClock, pid: process.pid, isAlive: () => true })
const { report } = await harness({ journal }).announce(url)
console.log(report.outcome)
setInterval(() => {}, 60_000)
