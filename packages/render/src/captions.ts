/** What a picture says about itself: when and from where, and what it does not know. */
import { type GeoDatabase, limits } from '@swarmatlas/core'
import type { Placed } from './places.ts'
import { grouped } from './typesetting.ts'

/** `2026-11-19 00:00 – 2026-11-22 00:00 UTC`; seconds for less than an hour, the date once for one day. */
export function timeWindow(fromMs: number, toMs: number): string {
  const length = toMs - fromMs < 3_600_000 ? 19 : 16
  const from = new Date(fromMs).toISOString().slice(0, length).replace('T', ' ')
  const to = new Date(toMs).toISOString().slice(0, length).replace('T', ' ')
  const sameDay = from.slice(0, 10) === to.slice(0, 10)
  return from === to ? `${from} UTC` : `${from} – ${sameDay ? to.slice(11) : to} UTC`
}

/** Sentences on what the symbols stand for and leave out. */
export function placeNotes(placed: Placed, unplaced: number, demo: boolean): string[] {
  const notes: string[] = []
  if (demo) notes.push('Synthetic demo: these peers ran on one machine, and a made-up table gave them places.')
  if (unplaced > 0)
    notes.push(`${grouped(unplaced)} ${unplaced === 1 ? 'peer has' : 'peers have'} no place and no symbol.`)
  if (placed.symbols.some((symbol) => symbol.kind === 'city')) {
    notes.push(
      `A disc counts the peers within ${limits.gatherKm} km of the named place, at least ${limits.peersPerSymbol}.`,
    )
  }
  const reasons: string[] = []
  if (placed.countryOnly > 0)
    reasons.push(`of which no city is known within ${limits.cityRadiusKm} km (${grouped(placed.countryOnly)})`)
  if (placed.merged > 0) reasons.push(`in places with fewer than ${limits.peersPerSymbol} (${grouped(placed.merged)})`)
  if (reasons.length > 0) notes.push(`A dashed ring stands for a whole country: peers ${reasons.join(' and ')}.`)
  if (placed.peers > 0 && !demo)
    notes.push('Places are those of addresses: a VPN or a mobile network can be elsewhere.')
  return notes
}

export function databaseLine({ name, built }: GeoDatabase, demo: boolean): string {
  if (demo) return `Places by ${name}`
  return `Places by ${name}, ${built === null ? 'build date not recorded' : `built ${built}`}`
}
