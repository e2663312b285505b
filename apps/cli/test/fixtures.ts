/** Tests with the command and a swarm of their own at hand: they may run beside each other. */
import { test as plain, type TestAPI } from 'vitest'
import { type Cli, createCli } from './cli.ts'
import { startTestSwarm, type TestSwarm } from './swarm.ts'

export const test: TestAPI<{ cli: Cli; world: TestSwarm }> = plain.extend<{ cli: Cli; world: TestSwarm }>({
  cli: async ({ onTestFinished }, use) => use(createCli(onTestFinished)),
  // After `cli` in what is asked for, so that the swarm outlives the command.
  world: async ({ onTestFinished }, use) => {
    const world = await startTestSwarm()
    onTestFinished(() => world[Symbol.asyncDispose]())
    await use(world)
  },
})
