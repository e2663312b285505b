/** Peer ids as the named clients write them (BEP 20). */
import type { Prng } from './prng.ts'

const CODES: Readonly<Record<string, string>> = {
  bittorrent: 'BT',
  biglybt: 'BI',
  deluge: 'DE',
  ktorrent: 'KT',
  libtorrent: 'LT',
  qbittorrent: 'qB',
  rtorrent: 'lt',
  transmission: 'TR',
  webtorrent: 'WW',
  µtorrent: 'UT',
}
const UNKNOWN_CODE = 'SW'
const RANDOM_CHARS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** 20 bytes for a client as `Name/1.2.3` or `Name 1.2.3`. */
export function peerIdOf(client: string | undefined, prng: Prng): Uint8Array {
  const name = /^\p{Letter}+/u.exec(client ?? '')?.[0].toLowerCase() ?? ''
  const version = client?.match(/\d+/g)?.slice(0, 4).map(Number) ?? []
  const digit = (index: number) => ((version[index] ?? 0) % 36).toString(36).toUpperCase()
  const prefix =
    client?.startsWith('aria2/') === true
      ? `A2-${client.match(/\d+/g)?.slice(1, 4).join('-')}-`
      : `-${CODES[name] ?? UNKNOWN_CODE}${digit(0)}${digit(1)}${digit(2)}${digit(3)}-`
  const rest = Array.from({ length: 20 - prefix.length }, () => RANDOM_CHARS[prng.below(RANDOM_CHARS.length)])
  return Buffer.from(prefix + rest.join(''), 'latin1')
}
