/**
 * One GET over the gate. node:http and node:tls speak the protocols; every connection is dialled by us, to an address
 * that was resolved once and judged by the policy, for the first URL and for each redirect alike.
 */
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect as tlsConnect } from 'node:tls'
import { promisify } from 'node:util'
import { gunzip, inflate } from 'node:zlib'
import {
  type Clock,
  canonicalAddress,
  codeOf,
  type DialResult,
  deadline,
  familyOf,
  type Gate,
  limits,
  messageOf,
  outcomeOf,
  SwarmatlasError,
  type TcpStream,
} from '@swarmatlas/core'
import {
  type Answer,
  type AskOptions,
  answered,
  forbidden,
  success,
  type TrackerFailure,
  unanswered,
} from './answer.ts'
import type { HttpResponse } from './http-replies.ts'
import { parseTrackerUrl, type TrackerUrl } from './tracker-url.ts'
import { whenAdmitted } from './waiting.ts'

export interface HttpFetchComponents {
  gate: Gate
  clock: Clock
}

export interface HttpFetchOptions {
  userAgent: string
  /** PEM certificates to trust in place of Node's own list. */
  ca?: readonly string[] | undefined
}

type FetchWait = Pick<AskOptions, 'signal' | 'beforeSend'>

/** An answer that cannot be had, thrown within this file. */
class FetchFailure extends Error {
  readonly failure: TrackerFailure
  constructor(failure: TrackerFailure) {
    super(failure.detail)
    this.failure = failure
  }
}

/** Fetches `url` from `address`, following redirects; limits.trackerHttpTimeoutMs in all. Rejects on abort only. */
export async function httpFetch(
  components: HttpFetchComponents,
  options: HttpFetchOptions,
  url: TrackerUrl,
  address: string,
  { signal, beforeSend }: FetchWait,
): Promise<Answer<HttpResponse>> {
  const limit = deadline(components.clock, limits.trackerHttpTimeoutMs, signal)
  try {
    return success(await follow(components, options, url, address, { signal: limit.signal, beforeSend }))
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof FetchFailure) return error.failure
    // From beforeSend.
    if (error instanceof SwarmatlasError) throw error
    if (limit.signal.aborted) return unanswered('timeout', `no answer within ${limits.trackerHttpTimeoutMs / 1000} s`)
    return brokenExchange(error)
  } finally {
    limit[Symbol.dispose]()
  }
}

async function follow(
  components: HttpFetchComponents,
  options: HttpFetchOptions,
  first: TrackerUrl,
  address: string,
  wait: FetchWait,
): Promise<HttpResponse> {
  let url = first
  let addresses = [address]
  for (let redirects = 0; redirects <= limits.trackerRedirects; redirects++) {
    const response = await getOnce(components, options, url, addresses, wait)
    if (response.location === undefined) return response
    url = redirectTarget(response.location, url)
    try {
      addresses = await components.gate.resolver.resolve(url.host, { signal: wait.signal })
    } catch (error) {
      wait.signal.throwIfAborted()
      throw new FetchFailure(unanswered('unreachable', `redirected to ${url.shown}: ${messageOf(error)}`))
    }
    // An announce over one family is for peers of that family (BEP 7).
    addresses = addresses.filter((candidate) => familyOf(candidate) === familyOf(address))
  }
  throw new FetchFailure(answered('bad-message', `redirected more than ${limits.trackerRedirects} times`))
}

function redirectTarget(location: string, from: TrackerUrl): TrackerUrl {
  const href = URL.canParse(location, from.href) ? new URL(location, from.href).href : location
  // Node bounds the length of headers.
  const url = parseTrackerUrl(href, Number.POSITIVE_INFINITY)
  if ('problem' in url) throw new FetchFailure(answered('bad-message', `redirected to no tracker URL: ${url.problem}`))
  if (url.scheme === 'udp') throw new FetchFailure(answered('bad-message', 'redirected to a udp URL'))
  return url
}

async function getOnce(
  components: HttpFetchComponents,
  { userAgent, ca }: HttpFetchOptions,
  url: TrackerUrl,
  addresses: readonly string[],
  { signal, beforeSend }: FetchWait,
): Promise<HttpResponse & { location: string | undefined }> {
  const stream = await dialFirst(components, url, addresses, signal)
  try {
    const secured = url.scheme === 'https' ? await secure(stream, url, ca, signal) : stream
    await beforeSend()
    const request = httpRequest({
      createConnection: () => secured,
      path: url.path + url.query,
      headers: {
        Host: new URL(url.href).host,
        'User-Agent': userAgent,
        'Accept-Encoding': 'gzip',
        Connection: 'close',
      },
      signal,
    })
    // What breaks after the head of the response shows on the response too.
    request.on('error', () => {})
    request.end()
    // An answer that switches protocols closes the request without a response.
    const closed = once(request, 'close').then(() => Promise.reject(connectionClosed()))
    const [response] = (await Promise.race([once(request, 'response'), closed])) as [IncomingMessage]
    const status = response.statusCode ?? 0
    const { location } = response.headers
    const redirected = status >= 300 && status < 400 && location !== undefined
    const retryAfter = response.headers['retry-after'] ?? ''
    return {
      status,
      location: redirected ? location : undefined,
      contentType: response.headers['content-type'] ?? '',
      retryAfterS: /^\d{1,6}$/.test(retryAfter)
        ? Math.min(Number(retryAfter), limits.trackerIntervalCeilingS)
        : undefined,
      body: redirected ? new Uint8Array() : await readBody(response),
    }
  } finally {
    stream.destroy()
  }
}

async function dialFirst(
  { gate, clock }: HttpFetchComponents,
  url: TrackerUrl,
  addresses: readonly string[],
  signal: AbortSignal,
): Promise<TcpStream> {
  let failure = unanswered('unreachable', `${url.shown} has no address of the family that was asked`)
  for (const address of addresses.slice(0, limits.trackerAddressesPerFamily)) {
    const to = { address, port: url.port }
    const dialled: DialResult = await whenAdmitted(
      clock,
      signal,
      () => gate.dial(to, { purpose: 'tracker', timeoutMs: limits.dialTimeoutMs, signal }),
      (result) => (result.ok ? undefined : result.refusal),
    )
    if (dialled.ok) return dialled.stream
    failure =
      dialled.refusal === undefined ? unanswered(dialled.outcome, dialled.detail) : forbidden(dialled.refusal, to)
  }
  throw new FetchFailure(failure)
}

async function secure(
  stream: TcpStream,
  url: TrackerUrl,
  ca: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<TcpStream> {
  const secured = tlsConnect({
    socket: stream,
    host: url.host,
    ALPNProtocols: ['http/1.1'],
    // SNI knows names only (RFC 6066).
    ...(canonicalAddress(url.host) === undefined ? { servername: url.host } : {}),
    ...(ca === undefined ? {} : { ca: [...ca] }),
  })
  try {
    await once(secured, 'secureConnect', { signal })
    return secured
  } catch (error) {
    signal.throwIfAborted()
    const outcome = outcomeOf(error)
    if (outcome !== 'unreachable') throw error
    const isProtocol = /^(EPROTO|ERR_SSL_)/.test(codeOf(error) ?? '')
    const what = isProtocol ? 'TLS fails' : 'its certificate cannot be verified'
    throw new FetchFailure(answered('bad-message', `${what}: ${messageOf(error)}`))
  } finally {
    secured.on('error', () => {})
  }
}

const DECODERS: Readonly<Record<string, (bytes: Uint8Array, options: { maxOutputLength: number }) => Promise<Buffer>>> =
  { gzip: promisify(gunzip), 'x-gzip': promisify(gunzip), deflate: promisify(inflate) }

/** The body, decompressed: bounded before and after. */
async function readBody(response: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > limits.trackerBodyBytes) throw tooLong()
    chunks.push(chunk)
  }
  const body = Buffer.concat(chunks)
  const encoding = (response.headers['content-encoding'] ?? 'identity').toLowerCase()
  if (encoding === 'identity') return body
  const decode = DECODERS[encoding]
  if (decode === undefined) {
    throw new FetchFailure(answered('bad-message', `answered in an encoding that was not asked for (${encoding})`))
  }
  try {
    return await decode(body, { maxOutputLength: limits.trackerBodyBytes })
  } catch (error) {
    if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE') throw tooLong()
    throw new FetchFailure(answered('bad-message', `its compressed answer is broken: ${messageOf(error)}`))
  }
}

function connectionClosed(): FetchFailure {
  return new FetchFailure(unanswered('reset', 'closed the connection before its answer was complete'))
}

function tooLong(): FetchFailure {
  return new FetchFailure(answered('bad-message', `answered with more than ${limits.trackerBodyBytes} bytes`))
}

function brokenExchange(error: unknown): TrackerFailure {
  // llhttp's codes: what came is not HTTP.
  if (codeOf(error)?.startsWith('HPE_')) return answered('bad-message', `does not speak HTTP: ${messageOf(error)}`)
  const outcome = outcomeOf(error)
  return outcome === 'reset' ? connectionClosed().failure : unanswered(outcome, messageOf(error))
}
