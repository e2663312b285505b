/**
 * A client's name from its peer id (BEP 20): Azureus style `-TR4060-`, Mainline style `M7-10-5--`, Shadow style
 * `T03I-----`. Only a hint: anyone can write any id.
 */
import { Buffer } from 'node:buffer'
import { limits, printable } from '@swarmatlas/core'

/** How four version characters are read; `dots` unless said otherwise: 4631 is 4.6.3.1. */
type VersionStyle = 'dots' | 'hundredths' | 'pairs'

const AZUREUS: ReadonlyMap<string, readonly [name: string, style?: VersionStyle]> = new Map([
  ['7T', ['aTorrent']],
  ['AG', ['Ares']],
  ['AR', ['Arctic']],
  ['AZ', ['Vuze']],
  ['BC', ['BitComet', 'pairs']],
  ['BI', ['BiglyBT']],
  ['BL', ['BitLord']],
  ['BR', ['BitRocket']],
  ['BT', ['BitTorrent']],
  ['BW', ['BitTorrent Web']],
  ['DE', ['Deluge']],
  ['FD', ['Free Download Manager']],
  ['FL', ['Folx']],
  ['FW', ['FrostWire']],
  ['HL', ['Halite']],
  ['JS', ['Justseed.it']],
  ['KG', ['KGet']],
  ['KT', ['KTorrent']],
  ['LC', ['LeechCraft']],
  ['LH', ['LH-ABC']],
  ['LP', ['Lphant']],
  ['LT', ['libtorrent']],
  ['LW', ['LimeWire']],
  ['MG', ['MediaGet']],
  ['MO', ['MonoTorrent']],
  ['PI', ['PicoTorrent']],
  ['QD', ['QQDownload']],
  ['SD', ['Xunlei']],
  ['SP', ['BitSpirit', 'pairs']],
  ['TL', ['Tribler']],
  ['TR', ['Transmission', 'hundredths']],
  ['TT', ['TuoTu']],
  ['UE', ['\u00b5Torrent Embedded']],
  ['UM', ['\u00b5Torrent Mac']],
  ['UT', ['\u00b5Torrent']],
  ['UW', ['\u00b5Torrent Web']],
  ['WD', ['WebTorrent Desktop']],
  ['WW', ['WebTorrent']],
  ['XL', ['Xunlei']],
  ['ZO', ['Zona']],
  ['lt', ['libTorrent (rTorrent)']],
  ['qB', ['qBittorrent']],
])

const DASHED: ReadonlyMap<string, string> = new Map([
  ['A2', 'aria2'],
  ['M', 'BitTorrent'],
  ['Q', 'Queen Bee'],
])

const SHADOW: ReadonlyMap<string, string> = new Map([
  ['A', 'ABC'],
  ['O', 'Osprey Permaseed'],
  ['Q', 'BTQueue'],
  ['R', 'Tribler'],
  ['S', 'Shadow'],
  ['T', 'BitTornado'],
  ['U', 'UPnP NAT BitTorrent'],
])

/** `peerId`: 40 hex digits. Undefined when the id follows none of the styles. */
export function clientOfPeerId(peerId: string): string | undefined {
  const id = Buffer.from(peerId, 'hex').toString('latin1')
  const azureus = /^-([A-Za-z0-9~]{2})([0-9A-Za-z]{4})[-.]?/.exec(id)
  if (azureus !== null) {
    const [, code = '', version = ''] = azureus
    const known = AZUREUS.get(code)
    return known === undefined ? `-${code}${version}-` : `${known[0]} ${versionText(version, known[1] ?? 'dots')}`
  }
  const dashed = /^(A2|[MQ])-?(\d+)-(\d+)-(\d+)-/.exec(id)
  if (dashed !== null) return `${DASHED.get(dashed[1] as string)} ${dashed[2]}.${dashed[3]}.${dashed[4]}`
  const tixati = /^TIX(\d\d)(\d\d)/.exec(id)
  if (tixati !== null) return `Tixati ${Number(tixati[1])}.${tixati[2]}`
  const shadow = /^([AOQRSTU])([0-9A-Za-z]{1,5})-{3,}/.exec(id)
  if (shadow !== null) return `${SHADOW.get(shadow[1] as string)} ${[...(shadow[2] as string)].map(digit).join('.')}`
  return undefined
}

function versionText(version: string, style: VersionStyle): string {
  const [a = '', b = '', c = '', d = ''] = version
  // Transmission wrote 2.94 and 3.00 as 2940 and 3000, since 4.0.0 it writes 4.0.6 as 4060.
  if (style === 'hundredths' && a < '4') return printable(`${a}.${b}${c}`)
  if (style === 'pairs') return `${Number(`${a}${b}`)}.${c}${d}`
  return [a, b, c, ...(/[1-9]/.test(d) && style === 'dots' ? [d] : [])].map(digit).join('.')
}

/** 0-9, then A-Z for 10-35, then a-z. */
function digit(char: string): number {
  if (char <= '9') return Number(char)
  return char <= 'Z' ? char.charCodeAt(0) - 55 : char.charCodeAt(0) - 61
}

/** The name that it gives itself, else what its peer id says. */
export function clientName(given: string | undefined, peerId: string): string | undefined {
  return given ?? clientOfPeerId(peerId)?.slice(0, limits.clientNameChars)
}
