/** GraphML (graphml.graphdrawing.org): nodes and edges may come in any order, so that nothing waits. */
import type { FileSink } from './file-sink.ts'
import type { RowWriter } from './format.ts'
import { graphRows, linkColumns, nodeColumns } from './graph-rows.ts'
import { asText, type Column, type Detail, type Row } from './tables.ts'
import { xml } from './xml.ts'

const HEAD = `<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://graphml.graphdrawing.org/xmlns http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd">
`

export function graphmlWriter(sink: FileSink, detail: Detail): RowWriter {
  const nodes = nodeColumns(detail)
  const links = linkColumns(detail)
  let head = [
    HEAD,
    '  <key id="label" for="node" attr.name="label" attr.type="string"/>\n',
    ...nodes.map((column) => keyOf('node', column)),
    ...links.map((column) => keyOf('edge', column)),
    '  <graph id="swarmatlas" edgedefault="directed">\n',
  ].join('')
  const write = (text: string) => {
    const all = head + text
    head = ''
    return sink.write(all)
  }
  return graphRows({
    node: ({ id, label, attributes }) =>
      write(
        `    <node id="${xml(id)}"><data key="label">${xml(label)}</data>${dataOf('node', nodes, attributes)}</node>\n`,
      ),
    link: ({ id, source, target, attributes }) =>
      write(
        `    <edge id="e${id}" source="${xml(source)}" target="${xml(target)}">${dataOf('edge', links, attributes)}</edge>\n`,
      ),
    async end() {
      await write('  </graph>\n</graphml>\n')
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

function keyOf(of: 'node' | 'edge', { name, type }: Column): string {
  return `  <key id="${of}-${name}" for="${of}" attr.name="${name}" attr.type="${TYPES[type]}"/>\n`
}

function dataOf(of: 'node' | 'edge', columns: readonly Column[], row: Row): string {
  let data = ''
  for (const { name } of columns) {
    const text = asText(row[name] ?? null)
    if (text !== null && text !== '') data += `<data key="${of}-${name}">${xml(text)}</data>`
  }
  return data
}
