/**
 * RC4, as MSE uses it: the first 1,024 bytes of the key stream are thrown away. Our own since OpenSSL 3 has it only as a
 * legacy cipher, which Node does not load. It hides a handshake from a classifier; it keeps no secret.
 */

/** Encrypts or decrypts the next bytes of the stream; the result is a new array. */
export type Rc4 = (bytes: Uint8Array) => Uint8Array

const DROPPED_BYTES = 1_024

/** `dropBytes` is for test vectors. */
export function createRc4(key: Uint8Array, dropBytes: number = DROPPED_BYTES): Rc4 {
  const state = new Uint8Array(256)
  for (let i = 0; i < 256; i++) state[i] = i
  for (let i = 0, j = 0; i < 256; i++) {
    const value = state[i] as number
    j = (j + value + (key[i % key.length] as number)) & 0xff
    state[i] = state[j] as number
    state[j] = value
  }
  let i = 0
  let j = 0
  const next = () => {
    i = (i + 1) & 0xff
    const a = state[i] as number
    j = (j + a) & 0xff
    const b = state[j] as number
    state[i] = b
    state[j] = a
    return state[(a + b) & 0xff] as number
  }
  for (let dropped = 0; dropped < dropBytes; dropped++) next()
  return (bytes) => bytes.map((byte) => byte ^ next())
}
