/** Words from the network and from the user without the addresses, paths and secrets that they may hold. */
import { canonicalAddress, parseHostPort, printable, redactUrl } from '@swarmatlas/core'

// What may be an address; canonicalAddress decides. Colons and dots next to it belong to it.
const CANDIDATE = /[0-9a-f:.]*(?:\d\.\d|:[0-9a-f]*:)[0-9a-f:.]*/gi

/** Blanks what reads as an IP address, with or without a port behind it. Some version numbers do. */
export function withoutAddresses(text: string): string {
  return printable(text).replace(CANDIDATE, (found) => (holdsAddress(found) ? '…' : found))
}

function holdsAddress(text: string): boolean {
  if (canonicalAddress(text) !== undefined) return true
  const quad = /(?<![\d.])(\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)/.exec(text.replace(/\.+$/, ''))
  if (quad !== null && canonicalAddress(quad[0]) !== undefined) return true
  const trimmed = text.replace(/^\.+|[.:]+$/g, '')
  return canonicalAddress(trimmed) !== undefined
}

/** A command line without what looks like a path. */
export function withoutPaths(command: string): string {
  return withoutAddresses(command.replace(/\S*[/\\]\S*/g, '…'))
}

/** A tracker URL without secrets; a host that is an address goes by `nameOf`. */
export function withoutHostAddress(url: string, nameOf: (address: string) => string): string {
  const clean = redactUrl(url)
  const authority = /^([a-z]+:\/\/)([^/?#]*)(.*)$/i.exec(clean)
  if (authority === null) return withoutAddresses(clean)
  const [, scheme = '', host = '', rest = ''] = authority
  const name = parseHostPort(host)?.host ?? host.replace(/^\[|\]$/g, '')
  const address = canonicalAddress(name)
  const shown =
    address === undefined
      ? withoutAddresses(host)
      : `address-${nameOf(address)}${host.slice(host.indexOf(name) + name.length).replace(/^\]/, '')}`
  return `${scheme}${shown}${withoutAddresses(rest)}`
}
