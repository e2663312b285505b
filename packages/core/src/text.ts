/** Text from the network, made fit to be shown. */

// C0, DEL and C1 controls; bidirectional marks, overrides and isolates; zero-width, invisible and separating characters
// (not the joiners U+200C and U+200D, which scripts and emoji need); lone surrogates.
const UNFIT =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\p{Surrogate}/gu

/** Replaces what could drive a terminal or reorder a line by U+FFFD, and cuts after `maxChars` (1 or more) code points. */
export function printable(text: string, maxChars: number = Number.POSITIVE_INFINITY): string {
  if (text.length <= maxChars) return text.replace(UNFIT, '\ufffd')
  // A code point takes two units at most: the rest of a long text is not looked at.
  const points = [...text.slice(0, 2 * maxChars + 2).replace(UNFIT, '\ufffd')]
  return points.length <= maxChars ? points.join('') : `${points.slice(0, maxChars - 1).join('')}…`
}

/**
 * A tracker URL without its secrets: passkeys stand in the path, the query or before the host. What is left tells
 * trackers apart and can be printed.
 */
export function redactUrl(url: string): string {
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch {
    return 'invalid URL'
  }
  const host = parsed.host
    .split('.')
    .map((label) => (/^[0-9a-f]{16,}$/i.test(label) ? REDACTED : label))
    .join('.')
  const path = parsed.pathname.split('/').map(withoutSecret).join('/')
  const query = parsed.search
    .slice(1)
    .split('&')
    .map((part) => {
      const [key = '', value] = part.split('=', 2)
      return value === undefined ? withoutSecret(key) : `${withoutSecret(key)}=…`
    })
    .join('&')
  return printable(`${parsed.protocol}//${host}${path}${query === '' ? '' : `?${query}`}`)
}

const REDACTED = '…'

/** `announce.php` or `v2` can be read; what is long, or has digits and is not short, may be a passkey. */
function withoutSecret(part: string): string {
  const letters = part.replace(/[^0-9a-z]/gi, '')
  const secret = letters.length >= 20 || (letters.length >= 8 && /\d/.test(letters))
  return secret || part === encodeURIComponent(REDACTED) ? REDACTED : part
}
