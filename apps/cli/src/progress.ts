/**
 * Live progress on standard error: one line that is redrawn on a terminal, now and then a line of its own elsewhere.
 * Times count from the start of the process, where the monotonic clock begins.
 */
import { type Clock, endpointKey, type SwarmatlasEvent, type Timer } from '@swarmatlas/core'
import { count, seconds } from './quantities.ts'
import { columnsOf, cut, type Style, wrap } from './terminal.ts'

const REDRAW_MS = 100
const PLAIN_LINE_MS = 5_000
/** Peers written as they come before they are only counted. */
const PEERS_SHOWN = 10

export interface Progress extends Disposable {
  onEvent(event: SwarmatlasEvent): void
  /** A line above the progress line. */
  say(line: string): void
}

export interface ProgressOptions {
  /** Write the first peers as they come, for `lookup`. */
  readonly showPeers: boolean
}

export function liveProgress(
  { clock, stream, style }: { clock: Clock; stream: NodeJS.WriteStream; style: Style },
  { showPeers }: ProgressOptions,
): Progress {
  let peers = 0
  let handshaken = 0
  let running = 0
  let swarms = 0
  let name: string | undefined
  let drawn = false
  let timer: Timer

  const clear = () => {
    if (drawn) stream.write('\r\u001b[2K')
    drawn = false
  }
  const line = () => {
    const parts = [
      seconds(clock.monotonic()),
      swarms > 1 ? `${count(swarms - running, 'swarm')} of ${swarms} done` : (name ?? 'no metadata yet'),
      count(peers, 'peer'),
      `${handshaken} handshaken`,
    ]
    return parts.join('  ')
  }
  const draw = () => {
    if (stream.isTTY) {
      clear()
      stream.write(style.dim(cut(line(), columnsOf(stream) - 1)))
      drawn = true
    } else {
      stream.write(`${cut(line(), columnsOf(stream))}\n`)
    }
    timer = clock.timer(stream.isTTY ? REDRAW_MS : PLAIN_LINE_MS, draw, { keepAlive: false })
  }
  const say = (text: string) => {
    clear()
    stream.write(`${text}\n`)
  }
  timer = clock.timer(stream.isTTY ? REDRAW_MS : PLAIN_LINE_MS, draw, { keepAlive: false })
  const about = (torrent: string | undefined) => (swarms > 1 && torrent !== undefined ? `${torrent}: ` : '')

  return {
    say,
    onEvent(event) {
      switch (event.type) {
        case 'round-started':
          swarms = event.swarms
          running = event.swarms
          break
        case 'swarm-ended':
          running--
          break
        case 'peer':
          peers++
          if (showPeers && peers <= PEERS_SHOWN) {
            const at = seconds(clock.monotonic())
            say(`${style.dim(at.padStart(7))}  ${endpointKey(event.peer).padEnd(22)} ${style.dim(event.channel)}`)
            if (peers === PEERS_SHOWN) say(style.dim('         … further peers are counted; the report lists them'))
          }
          break
        case 'visit':
          if (event.handshaken) handshaken++
          break
        case 'metadata':
          name = event.info.name
          if (swarms === 1)
            say(
              `${style.dim(seconds(clock.monotonic()).padStart(7))}  ${style.bold(cut(event.info.name, columnsOf(stream) - 10))}`,
            )
          break
        case 'notice':
          for (const line of wrap(
            `${style.warn('note')}  ${about(event.torrent)}${event.message}`,
            columnsOf(stream),
            '',
          ))
            say(line)
          break
      }
    },
    [Symbol.dispose]() {
      timer.cancel()
      clear()
    },
  }
}

/** For `--json` and scripts: says nothing. */
export const noProgress: Progress = { onEvent() {}, say() {}, [Symbol.dispose]() {} }
