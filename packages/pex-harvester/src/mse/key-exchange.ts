/**
 * The key exchange of MSE: Diffie-Hellman over its 768-bit prime, generator 2. Node checks the prime whenever a group
 * object is made, which takes 20 ms; so all connections share one object, and each sets its private key anew, in the
 * same tick as the object works with it.
 */
import { Buffer } from 'node:buffer'
import { createDiffieHellman, type DiffieHellman } from 'node:crypto'
import type { Random } from '@swarmatlas/core'

export const PUBLIC_KEY_BYTES = 96
/** 160 bits, as the specification advises. */
const PRIVATE_KEY_BYTES = 20
const GENERATOR = 2

const PRIME: Buffer = Buffer.from(
  'ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd' +
    'ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a63a36210000000000090563',
  'hex',
)
const LEAST = Buffer.alloc(PUBLIC_KEY_BYTES)
LEAST[PUBLIC_KEY_BYTES - 1] = 2
const MOST = Buffer.from(PRIME)
MOST[PUBLIC_KEY_BYTES - 1] = (PRIME.at(-1) as number) - 2

let group: DiffieHellman | undefined

export interface KeyPair {
  /** PUBLIC_KEY_BYTES long. */
  readonly publicKey: Uint8Array
  /** As long; undefined for a key that would give the secret away: 0, 1, p-1 or above. */
  secretWith(theirPublicKey: Uint8Array): Uint8Array | undefined
}

export function createKeyPair(random: Random): KeyPair {
  const privateKey = random.bytes(PRIVATE_KEY_BYTES)
  group ??= createDiffieHellman(PRIME, GENERATOR)
  const shared = group
  shared.setPrivateKey(privateKey)
  const publicKey = Buffer.alloc(PUBLIC_KEY_BYTES)
  const number = shared.generateKeys()
  publicKey.set(number, PUBLIC_KEY_BYTES - number.length)
  return {
    publicKey,
    secretWith(theirs) {
      if (LEAST.compare(theirs) > 0 || MOST.compare(theirs) < 0) return undefined
      shared.setPrivateKey(privateKey)
      return shared.computeSecret(theirs)
    },
  }
}
