import { addressFromBytes } from '@swarmatlas/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { withoutAddresses, withoutHostAddress, withoutPaths } from '../src/redaction.ts'

test('blanks addresses, with ports and brackets, and leaves versions and times alone', () => {
  expect(withoutAddresses('from 203.0.113.5:6881, [2001:db8::5]:80 and ::1')).toBe('from …, […]:80 and …')
  expect(withoutAddresses('x203.0.113.5. And 203.0.113.5.example')).not.toContain('203.0.113.5')
  const kept = 'qBittorrent/4.6.5 µTorrent 3.5.5.45966 Xunlei 7.10.35.366 at 12:30 1.2.3'
  expect(withoutAddresses(kept)).toBe(kept)
})

test('no address survives among any other text', () => {
  const bytes = fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
  const around = fc.string().map((text) => text.replace(/[0-9a-f:.]/gi, '_'))
  fc.assert(
    fc.property(bytes, around, around, (raw, before, after) => {
      const address = addressFromBytes(raw)
      expect(withoutAddresses(`${before}${address}${after}`)).not.toContain(address)
    }),
    { numRuns: 1_000 },
  )
})

test('leaves a command without its paths', () => {
  expect(withoutPaths('map --list /home/x/list.txt -o C:\\maps\\a.png --depth quick')).toBe(
    'map --list … -o … --depth quick',
  )
})

test('tells trackers apart by scheme, host, port and path, and gives no address away', () => {
  const nameOf = (address: string) => `<${address.length}>`
  expect(withoutHostAddress('udp://tracker.example:6969/announce', nameOf)).toBe('udp://tracker.example:6969/announce')
  expect(withoutHostAddress('udp://203.0.113.5:6969/announce', nameOf)).toBe('udp://address-<11>:6969/announce')
  expect(withoutHostAddress('http://203.0.113.5/announce', nameOf)).toBe('http://address-<11>/announce')
  expect(withoutHostAddress('http://[2001:db8::5]/announce', nameOf)).toBe('http://address-<11>/announce')
  expect(withoutHostAddress('http://[2001:db8::5]:80/a?ip=203.0.113.5', nameOf)).not.toContain('203.0.113.5')
  expect(withoutHostAddress('203.0.113.5', nameOf)).toBe('invalid URL')
})
