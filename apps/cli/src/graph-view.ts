/** A store as exports read it: with the places of now where none was sealed with the round. */
import type { Geo, GraphView } from '@swarmatlas/core'

/** `geo` is loaded. */
export function placedView(view: GraphView, geo: Pick<Geo, 'place'>): GraphView {
  return {
    rounds: () => view.rounds(),
    swarms: () => view.swarms(),
    edges: (filter) => view.edges(filter),
    async *peers(filter) {
      for await (const peer of view.peers(filter)) {
        const { place, endpoint } = peer
        yield place !== null || endpoint === null ? peer : { ...peer, place: geo.place(endpoint) }
      }
    },
  }
}
