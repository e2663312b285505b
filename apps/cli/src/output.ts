/** Standard output: documents and event streams for scripts. */
import type { SwarmatlasEvent } from '@swarmatlas/core'

/** Writes all of `text`, waiting where the reader is slow; a reader that has gone (`| head`) ends the process quietly. */
export function print(text: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(text, () => resolve()))
}

export async function printJson(document: unknown): Promise<void> {
  await print(`${JSON.stringify(document, null, 2)}\n`)
}

/** One object a line. */
export function printEvent(event: SwarmatlasEvent | Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(event)}\n`)
}
