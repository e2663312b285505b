/**
 * A round outlives its store: when the store cannot be written any more, the round ends and is reported all the same.
 * Sealing stores the places of the round's peers, which stay when their addresses expire.
 */
import type { Geo } from '@swarmatlas/core'
import type { RoundWriter } from '@swarmatlas/peer-graph'

export interface SurvivingWriter {
  readonly writer: RoundWriter
  /** Aborts when the store failed. */
  readonly signal: AbortSignal
  /** What the store failed with; undefined while it works. */
  readonly failure: unknown
}

export function survivingWriter(writer: RoundWriter, geo: Geo): SurvivingWriter {
  const failed = new AbortController()
  const unlessFailed = async (write: () => Promise<void>) => {
    if (failed.signal.aborted) return
    await write().catch((error: unknown) => failed.abort(error))
  }
  return {
    writer: {
      number: writer.number,
      torrent: (record) => writer.torrent(record),
      observation: (torrent, observation) => writer.observation(torrent, observation),
      visit: (torrent, visit) => writer.visit(torrent, visit),
      tracker: (torrent, report) => writer.tracker(torrent, report),
      ready: () => unlessFailed(() => writer.ready()),
      flush: () => unlessFailed(() => writer.flush()),
      seal: (options) =>
        unlessFailed(async () => {
          await geo.load()
          await writer.seal({ ...options, placeOf: (endpoint) => geo.place(endpoint) })
        }),
    },
    signal: failed.signal,
    get failure() {
      return failed.signal.reason
    },
  }
}
