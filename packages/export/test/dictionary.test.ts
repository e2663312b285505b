import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { dataDictionary } from './dictionary.ts'

const path = new URL('../../../docs/data-dictionary.md', import.meta.url)
const BEGIN =
  '<!-- From the table definitions of packages/export. UPDATE_DICTIONARY=1 npx vitest run packages/export/test/dictionary.test.ts writes it. -->'

test('docs/data-dictionary.md says what the tables are', () => {
  const text = readFileSync(path, 'utf8')
  const [head = ''] = text.split(BEGIN, 1)
  const expected = `${head}${BEGIN}\n\n${dataDictionary()}\n`
  if (process.env.UPDATE_DICTIONARY) writeFileSync(path, expected)
  else expect(text).toBe(expected)
})
