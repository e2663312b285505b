import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { printable, redactUrl } from '../src/index.ts'

describe('printable', () => {
  it.each([
    ['\u001b]0;owned\u0007', '\ufffd]0;owned\ufffd'],
    ['a\r\nb\tc\u0000', 'a\ufffd\ufffdb\ufffdc\ufffd'],
    ['\u009b31m', '\ufffd31m'],
    ['\u202egpj.exe', '\ufffdgpj.exe'],
    ['\u2066x\u2069\u061c\u200b\ufeff', '\ufffdx\ufffd\ufffd\ufffd\ufffd'],
    ['a\ud800b', 'a\ufffdb'],
    ['测试 ünï 👩‍👩‍👧 क्‍ष', '测试 ünï 👩‍👩‍👧 क्‍ष'],
  ])('%j becomes %j', (text, shown) => {
    expect(printable(text)).toBe(shown)
  })

  it('cuts by code points and says so', () => {
    expect(printable('abcdef', 4)).toBe('abc…')
    expect(printable('abcd', 4)).toBe('abcd')
    expect(printable('👍👍👍', 3)).toBe('👍👍👍')
    expect(printable('👍👍👍👍', 3)).toBe('👍👍…')
    expect(printable('ab', 1)).toBe('…')
  })

  it('never leaves a control, is stable, and keeps to its length', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), fc.integer({ min: 1, max: 50 }), (text, max) => {
        const shown = printable(text, max)
        expect(shown).not.toMatch(/[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069]/u)
        expect([...shown].length).toBeLessThanOrEqual(max)
        expect(printable(shown, max)).toBe(shown)
      }),
    )
  })
})

describe('redactUrl', () => {
  const key = 'a1b2c3d4e5f60718293a4b5c6d7e8f90'
  it.each([
    ['udp://tracker.example:1337/announce', 'udp://tracker.example:1337/announce'],
    ['https://tracker.example/announce.php', 'https://tracker.example/announce.php'],
    ['http://[2001:db8::1]:6969/announce', 'http://[2001:db8::1]:6969/announce'],
    [`https://tracker.example/${key}/announce`, 'https://tracker.example/…/announce'],
    [`https://tracker.example/announce/${key}`, 'https://tracker.example/announce/…'],
    ['https://tracker.example/abcdefghijklmnopqrstuvwxyz/announce', 'https://tracker.example/…/announce'],
    ['https://tracker.example/a1b2c3d4/announce', 'https://tracker.example/…/announce'],
    ['https://tracker.example/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9/announce', 'https://tracker.example/…/announce'],
    ['https://tracker.example/%61%62%63%64%65/announce', 'https://tracker.example/…/announce'],
    [`https://tracker.example/announce?passkey=${key}&uid=7`, 'https://tracker.example/announce?passkey=…&uid=…'],
    [`https://tracker.example/announce?${key}`, 'https://tracker.example/announce?…'],
    [`https://user:${key}@tracker.example/announce`, 'https://tracker.example/announce'],
    [`https://${key}.tracker.example/announce`, 'https://….tracker.example/announce'],
    [`https://tracker.example/announce#${key}`, 'https://tracker.example/announce'],
    ['not a url', 'invalid URL'],
  ])('%s is shown as %s', (url, shown) => {
    expect(redactUrl(url)).toBe(shown)
  })

  it('shows no passkey of 16 or more, wherever it stands, and no text throws', () => {
    const passkey = fc.stringMatching(/^[0-9a-f]{16,40}$/)
    const place = fc.constantFrom(
      '/K/announce',
      '/announce/K',
      '/announce?passkey=K',
      '/a?K',
      '/announce.php?a=1&b=K',
      '/x;K/y',
      '/K.php',
    )
    fc.assert(
      fc.property(passkey, place, (secret, path) => {
        const url = `https://tracker.example${path.replace('K', secret)}`
        expect(redactUrl(url)).not.toContain(secret)
        expect(redactUrl(redactUrl(url))).toBe(redactUrl(url))
      }),
    )
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.webUrl({ withQueryParameters: true })), (text) => void redactUrl(text)),
    )
  })
})
