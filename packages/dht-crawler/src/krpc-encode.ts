/** Our KRPC queries (BEP 5, 32, 33, 51), written into fixed forms: keys sorted, every string of a known length. */

/** Networks whose nodes a query asks for (BEP 32). Undefined: those of the socket. */
export type Want = 'n4' | 'n6' | 'both'

export type KrpcQuery =
  | { readonly method: 'ping' }
  | { readonly method: 'find_node'; readonly target: Uint8Array; readonly want?: Want | undefined }
  | {
      readonly method: 'get_peers'
      readonly target: Uint8Array
      readonly want?: Want | undefined
      /** BEP 33: answer with filters. libtorrent then leaves the values out. */
      readonly scrape?: boolean
      /** BEP 33: no seeds among the values. */
      readonly noseed?: boolean
    }
  | { readonly method: 'sample_infohashes'; readonly target: Uint8Array; readonly want?: Want | undefined }

/** Client and version that our queries carry: Swarmatlas 0.1. */
const VERSION = 'SA\x00\x01'
const WANT: Record<Want, string> = { n4: '4:wantl2:n4e', n6: '4:wantl2:n6e', both: '4:wantl2:n42:n6e' }
/** Where the node id stands in every query: after `d1:ad2:id20:`. */
const ID_AT = 12

/** `ro: 1` (BEP 43) asks the other side not to take us into its routing table: we answer nothing. */
export function encodeQuery(tid: number, id: Uint8Array, query: KrpcQuery): Buffer {
  const { method } = query
  // The bytes of the id, target and transaction are put in afterwards.
  let text = `d1:ad2:id20:${BLANK_20}`
  let targetAt = 0
  if (method === 'get_peers') {
    text += '9:info_hash20:'
    targetAt = text.length
    text += BLANK_20
    if (query.noseed) text += '6:noseedi1e'
    if (query.scrape) text += '6:scrapei1e'
  } else if (method !== 'ping') {
    text += '6:target20:'
    targetAt = text.length
    text += BLANK_20
  }
  if (method !== 'ping' && query.want !== undefined) text += WANT[query.want]
  text += `e1:q${method.length}:${method}2:roi1e1:t4:`
  const tidAt = text.length
  const bytes = Buffer.from(`${text}${BLANK_4}1:v4:${VERSION}1:y1:qe`, 'latin1')
  bytes.set(id, ID_AT)
  if (method !== 'ping') bytes.set(query.target, targetAt)
  bytes.writeUInt32BE(tid, tidAt)
  return bytes
}

const BLANK_4 = '    '
const BLANK_20 = ' '.repeat(20)
