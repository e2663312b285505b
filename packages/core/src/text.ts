/** Text from the network, made fit to be shown. */

// C0, DEL and C1 controls, bidirectional overrides and isolates, zero-width and line separators, lone surrogates.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const UNFIT = /[\u0000-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]|\p{Surrogate}/gu

/** Replaces what could drive a terminal or reorder a line by U+FFFD, and cuts after `maxChars` code points. */
export function printable(text: string, maxChars: number = Number.POSITIVE_INFINITY): string {
  const clean = text.replace(UNFIT, '\ufffd')
  if (clean.length <= maxChars) return clean
  const points = [...clean]
  return points.length <= maxChars ? clean : `${points.slice(0, maxChars - 1).join('')}…`
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
  const host = parsed.host === '' ? '' : parsed.host
  const path = parsed.pathname
    .split('/')
    .map((part) => (/^[0-9a-z_-]{16,}$/i.test(part) && /\d/.test(part) ? '…' : part))
    .join('/')
  const query = [...parsed.searchParams.keys()].map((key) => `${encodeURIComponent(key)}=…`).join('&')
  return printable(`${parsed.protocol}//${host}${path}${query === '' ? '' : `?${query}`}`)
}
