import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createPseudonyms, type Endpoint, SwarmatlasError } from '../src/index.ts'

const key = new Uint8Array(32).fill(7)
const endpoint: Endpoint = { address: '192.0.2.7', port: 6881 }

test('is the start of the HMAC-SHA256 of the endpoint, as any other program computes it', () => {
  // printf 'endpoint 192.0.2.7:6881' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…07
  expect(createPseudonyms(key).ofEndpoint(endpoint)).toBe('67943ee2ba38336d9763d8d58956ae53')
})

test('differs from key to key, from endpoint to endpoint, and from texts', () => {
  const names = createPseudonyms(key)
  const other = createPseudonyms(new Uint8Array(32).fill(8))
  const all = [
    names.ofEndpoint(endpoint),
    names.ofEndpoint({ ...endpoint, port: 6882 }),
    names.ofText('192.0.2.7:6881'),
    names.ofText('endpoint 192.0.2.7:6881'),
    other.ofEndpoint(endpoint),
  ]
  expect(new Set(all).size).toBe(all.length)
  expect(createPseudonyms(key.slice()).ofEndpoint(endpoint)).toBe(all[0])
})

test('shows nothing of the text that it stands for', () => {
  const names = createPseudonyms(key)
  fc.assert(fc.property(fc.string(), (text) => /^[0-9a-f]{32}$/.test(names.ofText(text))))
})

test('refuses a key that could be guessed', () => {
  expect(() => createPseudonyms(new Uint8Array(16))).toThrow(SwarmatlasError)
})
