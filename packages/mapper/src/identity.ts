/** Our peer id: an Azureus-style prefix that no client uses, so that nobody takes us for another (BEP 20). */
import type { Random } from '@swarmatlas/core'

/** 20 bytes: `-sW0100-` and twelve random characters. */
export function createPeerId(random: Random, version: string): Uint8Array {
  const [major = '0', minor = '0', patch = '0'] = version.split('.')
  const digit = (part: string) => Math.min(9, Number.parseInt(part, 10) || 0)
  const prefix = `-sW${digit(major)}${digit(minor)}${digit(patch)}0-`
  const alphabet = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'
  const tail = Array.from(random.bytes(12), (byte) => alphabet[byte % alphabet.length]).join('')
  return Buffer.from(prefix + tail, 'latin1')
}
