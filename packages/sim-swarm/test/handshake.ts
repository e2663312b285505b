import { once } from 'node:events'
import { type Endpoint, type Host, type InfoHash, infoHashBytes } from '@swarmatlas/core'

/** Says hello (BEP 3) and gives the info-hash of the answer. */
export async function handshake(host: Host, to: Endpoint, hash: InfoHash): Promise<string> {
  const stream = await host.tcp.connect(to, { signal: AbortSignal.timeout(5_000) })
  const hello = ['\x13BitTorrent protocol', Buffer.alloc(8), infoHashBytes(hash), '-XX0000-abcdefghijkl']
  for (const part of hello) stream.write(part)
  let answer = Buffer.alloc(0)
  while (answer.length < 68) answer = Buffer.concat([answer, (await once(stream, 'data'))[0]])
  stream.destroy()
  return answer.toString('hex', 28, 48)
}
