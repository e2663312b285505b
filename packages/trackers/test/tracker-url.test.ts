import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseTrackerUrl, percentEncode, scrapeUrl, withoutSecrets, withParameters } from '../src/tracker-url.ts'

function valid(text: string) {
  const url = parseTrackerUrl(text)
  if ('problem' in url) throw new Error(url.problem)
  return url
}

describe('tracker URLs', () => {
  test.each([
    ['http://tracker.example/announce', { host: 'tracker.example', port: 80, path: '/announce', query: '' }],
    ['https://Tracker.Example/a?passkey=1', { host: 'tracker.example', port: 443, path: '/a', query: '?passkey=1' }],
    ['udp://TRACKER.example:6969', { host: 'tracker.example', port: 6969, path: '', query: '' }],
    ['udp://[2001:DB8::1]:80/announce#x', { host: '2001:db8::1', port: 80, path: '/announce', query: '' }],
    ['http://bücher.example/announce', { host: 'xn--bcher-kva.example' }],
    ['udp://bücher.example:1/announce', { host: 'xn--bcher-kva.example' }],
  ])('%s', (text, parts) => {
    expect(parseTrackerUrl(text)).toMatchObject(parts)
  })

  test.each([
    ['', 'not a URL'],
    ['tracker.example:80', 'only http, https and udp'],
    ['file:///etc/passwd', 'only http, https and udp'],
    ['udp://tracker.example/announce', 'needs a port'],
    ['http://tracker.example:0/announce', 'port 0'],
    ['http://tracker.example:65536/announce', 'not a URL'],
    ['http://user@tracker.example/announce', 'user name'],
    ['http://:secret@tracker.example/announce', 'user name'],
    ['udp://tra%20cker:80', 'host name'],
    [`http://tracker.example/${'a'.repeat(1_024)}`, 'longer than'],
  ])('%s is not asked', (text, problem) => {
    expect(parseTrackerUrl(text)).toMatchObject({ outcome: 'not-tried', problem: expect.stringContaining(problem) })
  })

  test('no text can throw', () => {
    const scheme = fc.constantFrom('http://', 'udp://', 'https://[', '')
    fc.assert(fc.property(scheme, fc.string({ unit: 'binary' }), (start, rest) => void parseTrackerUrl(start + rest)))
  })

  test('bytes are escaped one by one', () => {
    expect(percentEncode(Uint8Array.from([0, 0x20, 0x25, 0x41, 0x7e, 0xff]))).toBe('%00%20%25A~%ff')
  })

  test('an existing query is kept', () => {
    expect(withParameters(valid('http://t.example/announce?passkey=a%2fb'), 'port=1').query).toBe(
      '?passkey=a%2fb&port=1',
    )
  })

  test.each([
    ['http://t.example/announce', '/scrape'],
    ['http://t.example/x/announce', '/x/scrape'],
    ['http://t.example/announce.php', '/scrape.php'],
    ['http://t.example/a', undefined],
    ['http://t.example/announce/x', undefined],
    ['http://t.example/xannounce', undefined],
  ])('scrape URL of %s (BEP 48)', (text, path) => {
    expect(scrapeUrl(valid(text))?.path).toBe(path)
  })

  test('words of a tracker that repeat the passkey lose it', () => {
    const url = valid('http://t.example/0123456789abcdef/announce?uid=secretsecret')
    expect(withoutSecrets('unknown passkey 0123456789abcdef (secretsecret)', url)).toBe('unknown passkey … (…)')
  })
})
