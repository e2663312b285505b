/** The data dictionary as Markdown, from the table definitions. */
import { type Column, tableNames, tables } from '../src/tables.ts'

const FROM = {
  pseudonyms: '',
  prefixes: ' Only with `--research` or `--raw-addresses`.',
  addresses: ' Only with `--raw-addresses`.',
}

export function dataDictionary(): string {
  return tableNames
    .map((name) => {
      const { means, key, columns } = tables[name]
      return [
        `## ${name}`,
        '',
        `${means} Key: ${key.map((column) => `\`${column}\``).join(', ')}.`,
        '',
        '| column | type | meaning |',
        '|---|---|---|',
        ...columns.map((column) => `| \`${column.name}\` | ${typeOf(column)} | ${meaningOf(column)} |`),
      ].join('\n')
    })
    .join('\n\n')
}

function typeOf({ type, nullable }: Column): string {
  return `${type}${nullable ? ' or null' : ''}`
}

function meaningOf({ means, values, from }: Column): string {
  const known = values === undefined ? '' : ` One of ${values.map((value) => `\`${value}\``).join(', ')}.`
  return `${means}${known}${FROM[from ?? 'pseudonyms']}`
}
