/** The least of a DHT client (BEP 5), on any Host: whom do the nodes name for a hash? */
import {
  decodeBencode,
  decodeCompactList,
  type Endpoint,
  encodeBencode,
  endpointKey,
  type Host,
  type HostPort,
  type InfoHash,
  infoHashBytes,
  read,
  sleep,
} from '@swarmatlas/core'

/** What does not answer in the time of all waits is left out. */
const WAITS = 100
const WAIT_MS = 20

/** Asks every node it hears of, once, and gives the endpointKeys of the peers that were named. */
export async function getPeers(host: Host, bootstrap: readonly HostPort[], hash: InfoHash): Promise<Set<string>> {
  const found = new Set<string>()
  const asked = new Set<string>()
  let answered = 0
  const socket = await host.udp.open({
    family: 4,
    onError() {},
    onMessage(bytes) {
      answered++
      const reply = decodeBencode(bytes)
      const body = read.dict(reply instanceof Map ? reply : undefined, 'r')
      for (const value of read.list(body, 'values') ?? []) {
        if (value instanceof Uint8Array) for (const peer of decodeCompactList(value, 4, 1)) found.add(endpointKey(peer))
      }
      const nodes = read.bytes(body, 'nodes') ?? new Uint8Array()
      for (let at = 0; at < nodes.length; at += 26) decodeCompactList(nodes.subarray(at + 20, at + 26), 4, 1).map(ask)
    },
  })
  function ask(node: Endpoint): void {
    if (asked.has(endpointKey(node))) return
    asked.add(endpointKey(node))
    const args = { id: host.random.bytes(20), info_hash: infoHashBytes(hash) }
    socket.send(encodeBencode({ t: 'aa', y: 'q', q: 'get_peers', a: args, ro: 1 }), node)
  }
  for (const node of bootstrap) ask({ address: node.host, port: node.port })
  for (let waits = 0; answered < asked.size && waits < WAITS; waits++) await sleep(host.clock, WAIT_MS)
  await socket.close()
  return found
}
