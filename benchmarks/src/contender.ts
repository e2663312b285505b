/** The process of one run: does the work and prints what it took as one line of JSON. */
import { installEgressGuard } from '@swarmatlas/testkit'
import { suites } from './suites/index.ts'

installEgressGuard()
const [suiteName, contender, worldJson] = process.argv.slice(2) as [string, string, string]
const suite = suites.find(({ name }) => name === suiteName)
if (suite === undefined) throw new Error(`no suite is called ${suiteName}`)
const work = await suite.run(contender, JSON.parse(worldJson))
process.stdout.write(`${JSON.stringify(work)}\n`, () => process.exit(0))
