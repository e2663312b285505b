/** The entry of the `swarmatlas` command: runs it and turns what goes wrong into a message and an exit code. */
import { SwarmatlasError } from '@swarmatlas/core'
import { CommanderError } from 'commander'
import { exitCodeOf, exitCodes } from './exit-codes.ts'
import { createProgram } from './program.ts'

// `swarmatlas … | head` closes the pipe: that is an end, not a failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.done)
  throw error
})

const exit = { code: exitCodes.done as number }
const program = createProgram(exit)
for (const command of [program, ...program.commands]) command.exitOverride()

try {
  await program.parseAsync()
} catch (error) {
  exit.code = explain(error)
}
process.exitCode = exit.code

function explain(error: unknown): number {
  if (error instanceof CommanderError) {
    // Commander has printed its message already; help and version end with 0.
    return error.exitCode === 0 ? exitCodes.done : exitCodes.usage
  }
  if (error instanceof SwarmatlasError) {
    process.stderr.write(`swarmatlas: ${error.message}\n`)
    if (error.hint !== undefined) process.stderr.write(`  hint: ${error.hint}\n`)
    return exitCodeOf(error)
  }
  // Something failed, and then its closing too (in TypeScript's form, which is no class of its own).
  if (error instanceof Error && 'suppressed' in error) return explain(error.suppressed)
  process.stderr.write(`swarmatlas: this is a bug: ${error instanceof Error ? error.stack : String(error)}\n`)
  return 70
}
