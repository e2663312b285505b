import fc from 'fast-check'
import { expect, test } from 'vitest'
import { clientName, clientOfPeerId } from '../src/client-name.ts'

const hex = (id: string) => Buffer.from(id, 'latin1').toString('hex')

test.each([
  ['-TR3000-abcdefghijkl', 'Transmission 3.00'],
  ['-TR2940-abcdefghijkl', 'Transmission 2.94'],
  ['-TR4060-abcdefghijkl', 'Transmission 4.0.6'],
  ['-TR400Z-abcdefghijkl', 'Transmission 4.0.0'],
  ['-qB4521-abcdefghijkl', 'qBittorrent 4.5.2.1'],
  ['-lt0D80-abcdefghijkl', 'libTorrent (rTorrent) 0.13.8'],
  ['-LT2080-abcdefghijkl', 'libtorrent 2.0.8'],
  ['-UT355W-abcdefghijkl', 'µTorrent 3.5.5'],
  ['-BC0202-abcdefghijkl', 'BitComet 2.02'],
  ['-DE211s-abcdefghijkl', 'Deluge 2.1.1'],
  ['-ZQ1234-abcdefghijkl', '-ZQ1234-'],
  ['M7-10-5--abcdefghijk', 'BitTorrent 7.10.5'],
  ['A2-1-36-0-abcdefghij', 'aria2 1.36.0'],
  ['T03I-----abcdefghijk', 'BitTornado 0.3.18'],
  ['TIX0283-abcdefghijkl', 'Tixati 2.83'],
])('%s is %s', (id, name) => {
  expect(clientOfPeerId(hex(id))).toBe(name)
})

test('an id of no known style has no name', () => {
  expect(clientOfPeerId('00'.repeat(20))).toBeUndefined()
})

test('what the client says of itself comes first', () => {
  expect(clientName('my client', hex('-TR3000-abcdefghijkl'))).toBe('my client')
})

test('no id can throw or bring control characters', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 20, maxLength: 20 }),
      fc.constantFrom('', '-TR', '-qB', 'M7-', 'T0'),
      (bytes, start) => {
        const id = Buffer.from(bytes)
        id.write(start, 'latin1')
        expect(clientOfPeerId(id.toString('hex')) ?? 'fine').toMatch(/^[\x20-\x7eµ]*$/)
      },
    ),
  )
})
