/** Writes the world map of a round: PNG and SVG, each whole or not at all. */
import { constants, type Stats } from 'node:fs'
import { access, mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, extname, join, resolve } from 'node:path'
import { type Channel, channels, codeOf, messageOf, SwarmatlasError } from '@swarmatlas/core'
import type { PeerReport } from '@swarmatlas/mapper'
import { toPng, toSvg, worldMap } from '@swarmatlas/render'
import { count } from './quantities.ts'
import type { RoundOutcome } from './session.ts'
import { version } from './version.ts'

export interface MapFileOptions {
  /** The PNG or SVG to write; the other stands beside it. Undefined: in the store's folder `maps`. */
  readonly output?: string | undefined
  readonly storeDir: string
  readonly theme: 'light' | 'dark'
  readonly demo: boolean
}

/** Absolute paths of what was written, the main file first. */
export async function writeMap(outcome: RoundOutcome, options: MapFileOptions): Promise<string[]> {
  const { round, swarms, database } = outcome
  const peers = swarms.flatMap((swarm) => swarm.peers)
  const scene = await worldMap(
    {
      title: titleOf(outcome),
      subtitle: subtitleOf(outcome),
      fromMs: round.startedMs,
      toMs: round.endedMs,
      points: peers.map((peer) => ({ place: peer.place, count: 1 })),
      observed: {
        peers: peers.length,
        handshaken: peers.filter(isHandshaken).length,
        seeds: peers.filter((peer) => peer.role === 'seed').length,
        leeches: peers.filter((peer) => peer.role === 'leech' || peer.role === 'partial').length,
        unplaced: peers.filter((peer) => peer.place === null).length,
      },
      byChannel: channelCounts(peers),
      database,
      vantage: round.vantage,
      version,
      demo: options.demo,
      notes: notesOf(outcome),
    },
    { theme: options.theme },
  )
  const main = resolve(
    options.output ?? join(options.storeDir, 'maps', `round-${String(round.number).padStart(6, '0')}.png`),
  )
  const ending = endingOf(main)
  const stem = main.slice(0, -ending.length)
  const content = { '.png': await toPng(scene), '.svg': toSvg(scene) }
  const other = ending === '.png' ? '.svg' : '.png'
  await writeWhole(main, content[ending])
  await writeWhole(stem + other, content[other])
  return [main, stem + other]
}

/** Refuses a file that cannot be written while nothing is lost yet: before the round. */
export async function checkOutput(output: string): Promise<void> {
  endingOf(output)
  const main = resolve(output)
  try {
    if ((await statOf(main))?.isDirectory()) throw new Error('it is a directory')
    let folder = dirname(main)
    while ((await statOf(folder)) === undefined) folder = dirname(folder)
    await access(folder, constants.W_OK)
  } catch (error) {
    throw cannotWrite(main, error)
  }
}

async function statOf(path: string): Promise<Stats | undefined> {
  return stat(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  })
}

function endingOf(path: string): '.png' | '.svg' {
  const ending = extname(path).toLowerCase()
  if (ending === '.png' || ending === '.svg') return ending
  throw new SwarmatlasError('BAD_OPTION', `-o ${path}: the file's ending must be .png or .svg`)
}

function isHandshaken(peer: PeerReport): boolean {
  return peer.evidence === 'handshaken' || peer.evidence === 'role-known'
}

function titleOf({ swarms }: RoundOutcome): string {
  const [first] = swarms
  if (swarms.length === 1 && first !== undefined) return first.metadata?.name ?? first.infoHash
  return count(swarms.length, 'swarm')
}

function subtitleOf({ swarms }: RoundOutcome): string {
  if (swarms.length === 1) return `Peers of one swarm in one round, info-hash ${swarms[0]?.infoHash}`
  const names = swarms.flatMap((swarm) => swarm.metadata?.name ?? [])
  return `Peers of ${count(swarms.length, 'swarm')} in one round${names.length === 0 ? '' : `: ${names.slice(0, 4).join(' · ')}${names.length > 4 ? ' …' : ''}`}`
}

function channelCounts(peers: readonly PeerReport[]): { channel: Channel; peers: number }[] {
  return channels
    .map((channel) => ({ channel, peers: peers.filter((peer) => peer.channels.includes(channel)).length }))
    .filter((entry) => entry.peers > 0)
}

function notesOf({ swarms, round, networkProblem }: RoundOutcome): string[] {
  const silent = swarms.flatMap((swarm) => swarm.trackers).filter((tracker) => tracker.outcome !== 'ok').length
  return [
    'One round: what was not seen is not estimated.',
    ...(silent > 0 ? [`${count(silent, 'tracker')} gave no answer.`] : []),
    ...(round.reason === 'interrupted' ? ['The round was interrupted.'] : []),
    ...(round.reason === 'deadline' ? ['The round ended at its deadline.'] : []),
    ...(networkProblem === undefined ? [] : [`The network could not be used: ${networkProblem}.`]),
  ]
}

/** To a temporary beside it, then renamed: nobody sees half a file. */
async function writeWhole(path: string, content: Uint8Array | string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`
  try {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(temporary, content)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw cannotWrite(path, error)
  }
}

function cannotWrite(path: string, cause: unknown): SwarmatlasError {
  return new SwarmatlasError('WRITE_FAILED', `cannot write ${path}: ${messageOf(cause)}`, {
    cause,
    hint: 'choose another file with -o',
  })
}
