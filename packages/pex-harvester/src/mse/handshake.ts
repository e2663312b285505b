/**
 * The handshake of Message Stream Encryption (MSE/PE, version 1.0, in the Vuze wiki), both sides:
 *
 *   A -> B  Ya, PadA
 *   B -> A  Yb, PadB
 *   A -> B  HASH('req1', S), HASH('req2', SKEY) xor HASH('req3', S),
 *           ENCRYPT(VC, crypto_provide, len(PadC), PadC, len(IA)), ENCRYPT(IA)
 *   B -> A  ENCRYPT(VC, crypto_select, len(PadD), PadD), and from here on the payload
 *
 * S is the Diffie-Hellman secret, SKEY the info-hash, IA the initiator's first payload. A side is a generator: it yields
 * what it needs of the peer's bytes next, is given them, and returns when the payload begins.
 */
import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { type InfoHash, infoHashBytes, limits, type Random } from '@swarmatlas/core'
import { createKeyPair, type KeyPair, PUBLIC_KEY_BYTES } from './key-exchange.ts'
import { createRc4, type Rc4 } from './rc4.ts'

/** So many bytes, or all up to and with this pattern after at most limits.msePadBytes others. */
export type Want = number | Uint8Array

export interface Agreement {
  readonly encryption: 'plain' | 'mse'
  /** The peer's first bytes of payload, decrypted. */
  readonly first: Uint8Array
  /** What the payload is sent and read with; undefined: as it is. */
  readonly ciphers: { readonly encrypt: Rc4; readonly decrypt: Rc4 } | undefined
}

export type Side = Generator<Want, Agreement, Uint8Array>

/** The peer broke the protocol. */
export class MseError extends Error {
  override readonly name = 'MseError'
}

export interface SideComponents {
  random: Random
  send(bytes: Uint8Array): void
}

const PLAIN_TEXT = 1
const RC4 = 2
const PROTOCOL = Buffer.from('\x13BitTorrent protocol', 'latin1')
const VERIFICATION = new Uint8Array(8)
const NOTHING = new Uint8Array(0)

/** `takeInitialPayload` is asked once, when the payload can go with the handshake. */
export function* initiate(
  { random, send }: SideComponents,
  { swarm, takeInitialPayload }: { swarm: InfoHash; takeInitialPayload(): Uint8Array },
): Side {
  const keys = createKeyPair(random)
  send(Buffer.concat([keys.publicKey, padding(random)]))
  const secret = agree(keys, yield PUBLIC_KEY_BYTES)
  const skey = infoHashBytes(swarm)
  const encrypt = createRc4(sha1('keyA', secret, skey))
  const decrypt = createRc4(sha1('keyB', secret, skey))
  const initial = takeInitialPayload()
  const lengths = Buffer.alloc(4)
  lengths.writeUInt16BE(initial.length, 2)
  send(
    Buffer.concat([
      sha1('req1', secret),
      xor(sha1('req2', skey), sha1('req3', secret)),
      encrypt(Buffer.concat([VERIFICATION, uint32(PLAIN_TEXT | RC4), lengths, initial])),
    ]),
  )
  // The peer's padding has no length of its own: the encrypted verification bytes mark its end.
  yield decrypt(VERIFICATION)
  const method = Buffer.from(decrypt(yield 4)).readUInt32BE()
  if (method !== PLAIN_TEXT && method !== RC4) throw new MseError(`selects the crypto method ${method}`)
  yield* skipPadding(decrypt)
  return { encryption: 'mse', first: NOTHING, ciphers: method === RC4 ? { encrypt, decrypt } : undefined }
}

/** `swarmOf`: our swarm whose skeyDigest this is. A peer that speaks plain text is let through as such. */
export function* respond(
  { random, send }: SideComponents,
  { swarmOf }: { swarmOf(digest: string): InfoHash | undefined },
): Side {
  const start = yield PROTOCOL.length
  if (PROTOCOL.equals(start)) return { encryption: 'plain', first: start, ciphers: undefined }
  const keys = createKeyPair(random)
  const secret = agree(keys, Buffer.concat([start, yield PUBLIC_KEY_BYTES - start.length]))
  send(Buffer.concat([keys.publicKey, padding(random)]))
  yield sha1('req1', secret)
  const swarm = swarmOf(xor(yield 20, sha1('req3', secret)).toString('hex'))
  if (swarm === undefined) throw new MseError('asks for a swarm that is not ours')
  const skey = infoHashBytes(swarm)
  const encrypt = createRc4(sha1('keyB', secret, skey))
  const decrypt = createRc4(sha1('keyA', secret, skey))
  if (decrypt(yield VERIFICATION.length).some((byte) => byte !== 0)) throw new MseError('wrong verification bytes')
  const provided = Buffer.from(decrypt(yield 4)).readUInt32BE()
  yield* skipPadding(decrypt)
  const initialBytes = Buffer.from(decrypt(yield 2)).readUInt16BE()
  if (initialBytes > limits.mseInitialPayloadBytes) throw new MseError(`an initial payload of ${initialBytes} bytes`)
  const first = decrypt(yield initialBytes)
  // Whoever comes by MSE wants to be hidden: RC4 where it is offered.
  const method = provided & (provided & RC4 ? RC4 : PLAIN_TEXT)
  if (method === 0) throw new MseError(`offers the crypto methods ${provided}`)
  send(encrypt(Buffer.concat([VERIFICATION, uint32(method), Buffer.alloc(2)])))
  return { encryption: 'mse', first, ciphers: method === RC4 ? { encrypt, decrypt } : undefined }
}

/** By what an initiator names the swarm. */
export function skeyDigest(swarm: InfoHash): string {
  return sha1('req2', infoHashBytes(swarm)).toString('hex')
}

/** PadC or PadD. */
function* skipPadding(decrypt: Rc4): Generator<Want, void, Uint8Array> {
  const bytes = Buffer.from(decrypt(yield 2)).readUInt16BE()
  if (bytes > limits.msePadBytes) throw new MseError(`padding of ${bytes} bytes`)
  decrypt(yield bytes)
}

function agree(keys: KeyPair, theirs: Uint8Array): Uint8Array {
  const secret = keys.secretWith(theirs)
  if (secret === undefined) throw new MseError('a public key that is none')
  return secret
}

function padding(random: Random): Uint8Array {
  return random.bytes(Math.floor(random.float() * (limits.msePadBytes + 1)))
}

function sha1(text: string, ...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha1').update(text)
  for (const part of parts) hash.update(part)
  return hash.digest()
}

function xor(a: Uint8Array, b: Uint8Array): Buffer {
  return Buffer.from(a.map((byte, at) => byte ^ (b[at] as number)))
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
