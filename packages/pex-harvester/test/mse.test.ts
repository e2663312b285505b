import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { type Duplex, duplexPair } from 'node:stream'
import { type InfoHash, infoHashBytes, limits, type TcpStream } from '@swarmatlas/core'
import { nodeHost } from '@swarmatlas/core/node'
import PlainWire from 'bittorrent-protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MseError, skeyDigest } from '../src/mse/handshake.ts'
import { createKeyPair, PUBLIC_KEY_BYTES } from '../src/mse/key-exchange.ts'
import { createRc4 } from '../src/mse/rc4.ts'
import { acceptMse, type MseStream, startMse } from '../src/mse/stream.ts'
import { settle } from './support/manual-clock.ts'
import { OUR_ID, SWARM } from './support/visit.ts'

const { random } = nodeHost()
/** With what only this test uses of it. */
const Wire = PlainWire as unknown as new (
  type?: 'tcpIncoming' | 'tcpOutgoing',
  encryption?: number,
) => PlainWire & Duplex & { setInfoHash(swarm: string): void; startEncryption(swarm: string): void }
const HELLO = Buffer.from('\x13BitTorrent protocol and more of a handshake', 'latin1')

/** Two ends of a connection; what one writes reaches the other in chunks of `chunkBytes`. */
function connection(chunkBytes = Number.POSITIVE_INFINITY): [TcpStream, TcpStream] {
  const ends = duplexPair()
  for (const end of ends) {
    const write = end._write.bind(end)
    end._write = (chunk: Buffer, encoding, done) => {
      let at = 0
      const next = (error?: Error | null) => {
        if (error || at >= chunk.length) return done(error)
        const part = chunk.subarray(at, at + chunkBytes)
        at += part.length
        write(part, encoding, next)
      }
      next()
    }
  }
  return ends as unknown as [TcpStream, TcpStream]
}

function watched(stream: Duplex): { received(): Buffer; error(): Error | undefined } {
  const chunks: Buffer[] = []
  let failure: Error | undefined
  stream.on('data', (chunk: Uint8Array) => chunks.push(Buffer.from(chunk)))
  stream.on('error', (error) => {
    failure = error
  })
  return { received: () => Buffer.concat(chunks), error: () => failure }
}

const ours = (digest: string): InfoHash | undefined => (digest === skeyDigest(SWARM) ? SWARM : undefined)

function pair(chunkBytes?: number): { dialler: MseStream; listener: MseStream } {
  const [a, b] = connection(chunkBytes)
  return {
    dialler: startMse({ random, stream: a }, { swarm: SWARM }),
    listener: acceptMse({ random, stream: b }, { swarmOf: ours }),
  }
}

describe('RC4', () => {
  test.each([
    ['Key', 'Plaintext', 'bbf316e8d940af0ad3'],
    ['Wiki', 'pedia', '1021bf0420'],
    ['Secret', 'Attack at dawn', '45a01f645fc35b383552544b9bf5'],
  ])('the well-known vector of %s', (key, text, encrypted) => {
    const bytes = createRc4(Buffer.from(key), 0)(Buffer.from(text))
    expect(Buffer.from(bytes).toString('hex')).toBe(encrypted)
  })

  test('RFC 6229, 40-bit key, offset 1024: where MSE begins', () => {
    const stream = createRc4(Buffer.from('0102030405', 'hex'))(new Uint8Array(16))
    expect(Buffer.from(stream).toString('hex')).toBe('30abbcc7c20b01609f23ee2d5f6bb7df')
  })
})

describe('key exchange', () => {
  test('a hundred pairs that share the group object agree, whatever the order of their steps', () => {
    const pairs = Array.from({ length: 100 }, () => [createKeyPair(random), createKeyPair(random)] as const)
    const left = pairs.map(([a, b]) => a.secretWith(b.publicKey))
    const right = pairs.toReversed().map(([a, b]) => b.secretWith(a.publicKey))
    expect(right.toReversed()).toEqual(left)
    expect(new Set(left.map((secret) => Buffer.from(secret as Uint8Array).toString('hex'))).size).toBe(100)
  })

  test('keys and secrets have 96 bytes, however many of them are zero', () => {
    for (let i = 0; i < 600; i++) {
      const a = createKeyPair(random)
      expect(a.publicKey.length).toBe(PUBLIC_KEY_BYTES)
      if (i % 10 === 0) expect(a.secretWith(createKeyPair(random).publicKey)?.length).toBe(PUBLIC_KEY_BYTES)
    }
  })
})

describe('two of ours', () => {
  test.each([undefined, 1, 7, 100])('talk, in chunks of %s bytes', async (chunkBytes) => {
    const { dialler, listener } = pair(chunkBytes)
    const [atDialler, atListener] = [watched(dialler), watched(listener)]
    dialler.write(HELLO)
    dialler.write('second')
    listener.write('answer')
    await settle()
    dialler.write('third')
    for (let i = 0; i < 200 && atListener.received().length < HELLO.length + 11; i++) await settle()
    expect(atListener.received().toString('latin1')).toBe(`${HELLO.toString('latin1')}secondthird`)
    expect(atDialler.received().toString()).toBe('answer')
    expect([dialler.encryption, listener.encryption]).toEqual(['mse', 'mse'])
  })

  test('a hundred handshakes at once, their bytes interleaved', async () => {
    const pairs = Array.from({ length: 100 }, (_, i) => pair(1 + (i % 50)))
    const heard = pairs.map(({ listener }) => watched(listener))
    pairs.forEach(({ dialler }, i) => {
      watched(dialler)
      dialler.write(`hello ${i}`)
    })
    for (let i = 0; i < 500 && heard.some((one) => one.received().length < 7); i++) await settle()
    expect(heard.map((one) => one.received().toString())).toEqual(pairs.map((_, i) => `hello ${i}`))
  })

  test('what is written first travels with the handshake: the listener hears it before it has answered the second time', async () => {
    const { dialler, listener } = pair()
    const heard = watched(listener)
    dialler.write(HELLO)
    watched(dialler)
    await settle()
    expect(heard.received().equals(HELLO)).toBe(true)
  })

  test('a megabyte each way, with back pressure', async () => {
    const { dialler, listener } = pair()
    const [atDialler, atListener] = [watched(dialler), watched(listener)]
    const many = Buffer.from(random.bytes(1_000_000))
    dialler.write(many)
    listener.write(many)
    for (let i = 0; i < 500 && atListener.received().length + atDialler.received().length < 2_000_000; i++)
      await settle()
    expect(atListener.received().equals(many)).toBe(true)
    expect(atDialler.received().equals(many)).toBe(true)
  })

  test('the end of one side reaches the other, and closing closes the stream below', async () => {
    const [a, b] = connection()
    const dialler = startMse({ random, stream: a }, { swarm: SWARM })
    const listener = acceptMse({ random, stream: b }, { swarmOf: ours })
    watched(dialler)
    watched(listener)
    dialler.write(HELLO)
    await settle()
    let ended = false
    listener.on('end', () => {
      ended = true
    })
    dialler.end()
    await settle()
    expect(ended).toBe(true)
    listener.destroy()
    expect(b.destroyed).toBe(true)
  })

  test('plain text is let through', async () => {
    const [a, b] = connection(3)
    const listener = acceptMse({ random, stream: b }, { swarmOf: ours })
    const heard = watched(listener)
    a.write(HELLO)
    for (let i = 0; i < 5; i++) await settle()
    expect(heard.received().equals(HELLO)).toBe(true)
    expect(listener.encryption).toBe('plain')
    const back = watched(a)
    listener.write('as it is')
    await settle()
    expect(back.received().toString()).toBe('as it is')
  })
})

describe('with bittorrent-protocol', () => {
  // 1: it prefers plain text after the handshake; 2: RC4 only.
  test.each([1, 2])('we dial it (its level %i)', async (level) => {
    const [a, b] = connection()
    const dialler = startMse({ random, stream: a }, { swarm: SWARM })
    const heard = watched(dialler)
    const wire = new Wire('tcpIncoming', level)
    wire.on('error', () => {})
    let seen: unknown
    wire.on('crypto-infohash', () => wire.setInfoHash(SWARM))
    wire.on('handshake', (infoHash: string, peerId: string) => {
      seen = [infoHash, peerId]
      wire.handshake(SWARM, OUR_ID, { dht: true, fast: true })
    })
    b.pipe(wire).pipe(b)
    const other = new Wire()
    other.on('data', (bytes: Uint8Array) => dialler.write(bytes))
    other.handshake(SWARM, OUR_ID, { dht: false, fast: false })
    await settle()
    expect(seen).toEqual([SWARM, Buffer.from(OUR_ID).toString('hex')])
    expect(heard.received().subarray(28, 48).equals(infoHashBytes(SWARM))).toBe(true)
  })

  test.each([1, 2])('it dials us (its level %i)', async (level) => {
    const [a, b] = connection()
    const wire = new Wire('tcpOutgoing', level)
    wire.on('error', () => {})
    a.pipe(wire).pipe(a)
    wire.on('crypto-handshake', () => wire.handshake(SWARM, OUR_ID, { dht: true, fast: true }))
    wire.startEncryption(SWARM)
    const listener = acceptMse({ random, stream: b }, { swarmOf: ours })
    const heard = watched(listener)
    await settle()
    expect(heard.received().subarray(28, 48).equals(infoHashBytes(SWARM))).toBe(true)
    expect(listener.encryption).toBe('mse')
  })
})

describe('hostile peers', () => {
  const numbers: [string, Uint8Array][] = [
    ['0', Buffer.alloc(96)],
    ['1', Buffer.concat([Buffer.alloc(95), Buffer.from([1])])],
    ['p-1', minus(1)],
    ['p', minus(0)],
    ['above p', Buffer.alloc(96, 0xff)],
  ]

  test.each(numbers)('a public key of %s ends the connection, on both sides', async (_, key) => {
    const [a, b] = connection()
    const dialler = startMse({ random, stream: a }, { swarm: SWARM })
    const atDialler = watched(dialler)
    b.write(key)
    const [c, d] = connection()
    const listener = acceptMse({ random, stream: d }, { swarmOf: ours })
    const atListener = watched(listener)
    c.write(key)
    await settle()
    for (const { error } of [atDialler, atListener]) expect(error()).toBeInstanceOf(MseError)
    expect([a.destroyed, d.destroyed]).toEqual([true, true])
  })

  test('p-2 and 2 are keys', () => {
    const keys = createKeyPair(random)
    expect(keys.secretWith(minus(2))).toBeDefined()
    expect(keys.secretWith(Buffer.concat([Buffer.alloc(95), Buffer.from([2])]))).toBeDefined()
  })

  test('padding without end', async () => {
    const [a, b] = connection()
    const atDialler = watched(startMse({ random, stream: a }, { swarm: SWARM }))
    b.write(createKeyPair(random).publicKey)
    b.write(random.bytes(limits.msePadBytes + 7))
    await settle()
    expect(atDialler.error()).toBeUndefined()
    b.write(random.bytes(1))
    await settle()
    expect(atDialler.error()).toBeInstanceOf(MseError)
  })

  /** What a dialler sends after the keys, with some of it wrong. */
  async function dialled(header: (swarm: InfoHash) => Buffer, swarm: InfoHash = SWARM): Promise<Error | undefined> {
    const [a, b] = connection()
    const listener = acceptMse({ random, stream: b }, { swarmOf: ours })
    const atListener = watched(listener)
    const keys = createKeyPair(random)
    const heard = watched(a)
    a.write(keys.publicKey)
    await settle()
    const secret = keys.secretWith(heard.received().subarray(0, 96)) as Uint8Array
    const sha1 = (...parts: (string | Uint8Array)[]) => {
      const hash = createHash('sha1')
      for (const part of parts) hash.update(part)
      return hash.digest()
    }
    const skey = infoHashBytes(swarm)
    const [one, other] = [sha1('req2', skey), sha1('req3', secret)]
    a.write(sha1('req1', secret))
    a.write(one.map((byte, at) => byte ^ (other[at] as number)))
    a.write(createRc4(sha1('keyA', secret, skey))(header(swarm)))
    await settle()
    expect(b.destroyed).toBe(atListener.error() !== undefined)
    return atListener.error()
  }
  const header =
    ({ vc = '0000000000000000', provide = '00000003', pad = '0000', rest = '' } = {}) =>
    () =>
      Buffer.from(vc + provide + pad + rest, 'hex')

  test('the header that the next tests spoil is well-formed', async () => {
    expect(await dialled(header({ rest: '0000' }))).toBeUndefined()
  })

  test.each([
    ['wrong verification bytes', header({ vc: '0000000000000001' })],
    ['padding of 513 bytes', header({ pad: '0201' })],
    ['padding of 65,535 bytes', header({ pad: 'ffff' })],
    ['an initial payload of 65,535 bytes', header({ rest: 'ffff' })],
    ['no crypto method', header({ provide: '00000000', rest: '0000' })],
    ['crypto methods that nobody knows', header({ provide: 'fffffffc', rest: '0000' })],
  ])('%s', async (_, bytes) => {
    expect(await dialled(bytes)).toBeInstanceOf(MseError)
  })

  test('a swarm that is not ours', async () => {
    expect(await dialled(header(), 'ff'.repeat(20) as InfoHash)).toBeInstanceOf(MseError)
  })

  test('a listener that selects a method nobody knows', async () => {
    const [a, b] = connection()
    const atDialler = watched(startMse({ random, stream: a }, { swarm: SWARM }))
    const keys = createKeyPair(random)
    const heard = watched(b)
    await settle()
    const secret = keys.secretWith(heard.received().subarray(0, 96)) as Uint8Array
    b.write(keys.publicKey)
    const key = createHash('sha1').update('keyB').update(secret).update(infoHashBytes(SWARM)).digest()
    b.write(createRc4(key)(Buffer.from('0000000000000000000000030000', 'hex')))
    await settle()
    expect(atDialler.error()).toBeInstanceOf(MseError)
  })

  test('no bytes can throw, in whatever chunks they come; they end the stream or wait for more', async () => {
    const start = fc.constantFrom(Buffer.alloc(0), HELLO.subarray(0, 20), Buffer.from(createKeyPair(random).publicKey))
    const chunks = fc.array(fc.uint8Array({ maxLength: 700 }), { maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(start, chunks, fc.boolean(), async (first, rest, dialling) => {
        const [a, b] = connection()
        const stream = dialling
          ? startMse({ random, stream: a }, { swarm: SWARM })
          : acceptMse({ random, stream: a }, { swarmOf: ours })
        const { error } = watched(stream)
        for (const chunk of [first, ...rest]) b.write(chunk)
        await settle()
        expect(error() === undefined || error() instanceof MseError).toBe(true)
        expect(a.destroyed).toBe(stream.destroyed)
        stream.destroy()
      }),
      { numRuns: 200 },
    )
  })
})

/** p - n; n below the prime's last byte. */
function minus(n: number): Uint8Array {
  const prime = Buffer.from(
    'ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a63a36210000000000090563',
    'hex',
  )
  prime[95] = 0x63 - n
  return prime
}
