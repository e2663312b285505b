/**
 * Pseudonyms: keyed names that stand for endpoints once addresses may not be shown (HMAC-SHA256, RFC 2104). Without the
 * key nobody can try addresses out; with it anybody can, so that the key never leaves the store and can be destroyed.
 */
import { createHmac, createSecretKey } from 'node:crypto'
import { type Endpoint, endpointKey } from './endpoint.ts'
import { SwarmatlasError } from './errors.ts'
import { limits } from './limits.ts'

export interface Pseudonyms {
  /** 32 hex digits. */
  ofEndpoint(endpoint: Endpoint): string
  /** The same for other names: a host, a vantage. Never equal to an endpoint's. */
  ofText(text: string): string
}

/** `key`: `limits.studyKeyBytes` random bytes, one key for each study. */
export function createPseudonyms(key: Uint8Array): Pseudonyms {
  if (key.length !== limits.studyKeyBytes) {
    throw new SwarmatlasError('BAD_OPTION', `a study key has ${limits.studyKeyBytes} bytes, not ${key.length}`)
  }
  const secret = createSecretKey(key)
  const known = new Map<string, string>()

  function nameOf(text: string): string {
    const before = known.get(text)
    if (before !== undefined) return before
    const name = createHmac('sha256', secret).update(text).digest().toString('hex', 0, limits.pseudonymBytes)
    if (known.size >= limits.addressCacheEntries) known.clear()
    known.set(text, name)
    return name
  }

  return {
    ofEndpoint: (endpoint) => nameOf(`endpoint ${endpointKey(endpoint)}`),
    ofText: (text) => nameOf(`text ${text}`),
  }
}
