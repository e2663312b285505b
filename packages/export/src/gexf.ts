/**
 * GEXF 1.2 (gexf.net), as Gephi reads it: attributes, colours (viz), and from when to when each node and edge was seen, for
 * its timeline. All nodes come before all edges: edges wait in a file of their own. The time format is `date`, whose values
 * the schema lets be full times: networkx knows no `dateTime`, and Debian's no GEXF 1.3.
 */
import type { FileSink } from './file-sink.ts'
import type { GraphWriterOptions, RowWriter } from './format.ts'
import { graphRows, linkColumns, nodeColumns } from './graph-rows.ts'
import { asText, type Column, type Row, type Value } from './tables.ts'
import { xml } from './xml.ts'

export function gexfWriter(sink: FileSink, { detail, spool, atMs }: GraphWriterOptions): RowWriter {
  const nodes = nodeColumns(detail)
  const links = linkColumns(detail)
  let head = `<?xml version="1.0" encoding="UTF-8"?>
<gexf xmlns="http://www.gexf.net/1.2draft" xmlns:viz="http://www.gexf.net/1.2draft/viz" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://www.gexf.net/1.2draft http://www.gexf.net/1.2draft/gexf.xsd" version="1.2">
  <meta lastmodifieddate="${new Date(atMs).toISOString().slice(0, 10)}">
    <creator>Swarmatlas</creator>
    <description>Who told us of whom</description>
  </meta>
  <graph defaultedgetype="directed" mode="dynamic" timeformat="date">
${attributesOf('node', nodes)}${attributesOf('edge', links)}    <nodes>
`
  const write = (text: string) => {
    const all = head + text
    head = ''
    return sink.write(all)
  }
  return graphRows({
    node: ({ id, label, attributes }) =>
      write(
        `      <node id="${xml(id)}" label="${xml(label)}"${seenOf(attributes)}>${valuesOf(nodes, attributes)}${colourOf(attributes)}</node>\n`,
      ),
    link: ({ id, source, target, attributes }) =>
      spool.write(
        `      <edge id="${id}" source="${xml(source)}" target="${xml(target)}" weight="${asText(attributes.count ?? 1)}"${seenOf(attributes)}>${valuesOf(links, attributes)}</edge>\n`,
      ),
    async end() {
      await write('    </nodes>\n    <edges>\n')
      await sink.takeOver(spool)
      await sink.write('    </edges>\n  </graph>\n</gexf>\n')
    },
  })
}

const TYPES: Readonly<Record<Column['type'], string>> = {
  string: 'string',
  list: 'string',
  integer: 'long',
  time: 'long',
  number: 'double',
  boolean: 'boolean',
}

function attributesOf(of: 'node' | 'edge', columns: readonly Column[]): string {
  const lines = columns.map(
    ({ name, type }, i) => `      <attribute id="${i}" title="${name}" type="${TYPES[type]}"/>\n`,
  )
  return `    <attributes class="${of}" mode="static">\n${lines.join('')}    </attributes>\n`
}

function valuesOf(columns: readonly Column[], row: Row): string {
  let values = ''
  for (const [i, { name }] of columns.entries()) {
    const text = asText(row[name] ?? null)
    if (text !== null && text !== '') values += `<attvalue for="${i}" value="${xml(text)}"/>`
  }
  return `<attvalues>${values}</attvalues>`
}

/** The time of a node or edge; tellers that are no exported peers have none and are always shown. */
function seenOf({ firstSeenMs = null, lastSeenMs = null }: Row): string {
  const dateOf = (ms: Value) => new Date(Number(ms)).toISOString()
  return firstSeenMs === null || lastSeenMs === null
    ? ''
    : ` start="${dateOf(firstSeenMs)}" end="${dateOf(lastSeenMs)}"`
}

/** Okabe and Ito's colours, which colour-blind readers tell apart. */
const COLOURS: Readonly<Record<string, readonly [number, number, number]>> = {
  seed: [0, 158, 115],
  leech: [86, 180, 233],
  partial: [240, 228, 66],
  'dht-node': [204, 121, 167],
  tracker: [213, 94, 0],
  self: [0, 0, 0],
  peer: [153, 153, 153],
}

const LARGE = new Set<Value>(['tracker', 'self'])

function colourOf({ role = null, nodeKind = null }: Row): string {
  const [r, g, b] = COLOURS[String(role ?? nodeKind)] ?? [153, 153, 153]
  return `<viz:color r="${r}" g="${g}" b="${b}"/><viz:size value="${LARGE.has(nodeKind) ? 20 : 8}"/>`
}
