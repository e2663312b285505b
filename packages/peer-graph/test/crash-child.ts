/** Writes facts for ever, sealing a round now and then, and says on stdout which were acknowledged. The crash test kills it. */
import { silentLogger } from '@swarmatlas/core'
import { nodeClock } from '@swarmatlas/core/node'
import { openPeerGraph } from '../src/index.ts'
import { A, byPex, end, round, visitTo } from './facts-of.ts'

const [dir = '', firstText = '0'] = process.argv.slice(2)
const graph = await openPeerGraph({ clock: nodeClock, logger: silentLogger }, { dir, create: true })
for (let i = Number(firstText); ; ) {
  const writer = await graph.startRound(round)
  for (let group = 0; group < 4; group++) {
    const begun = i
    for (const stop = i + 1 + ((i * 7919) % 400); i < stop; i++) {
      const peer = `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}:6881`
      writer.observation(A, byPex(`198.51.100.${i % 200}:1`, peer))
      writer.visit(A, visitTo(peer))
    }
    await writer.flush()
    process.stdout.write(`${writer.number} ${begun} ${i}\n`)
  }
  await writer.seal(end)
}
