/** The values of rare rows: JSON. */
import { corruptRow } from './store-errors.ts'

export function toJson(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

/** `what` names the row for the user, should it be damaged. */
export function fromJson<T>(value: Buffer, what: string): T {
  try {
    return JSON.parse(value.toString()) as T
  } catch {
    throw corruptRow(what)
  }
}
