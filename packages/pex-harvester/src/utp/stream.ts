/** The stream of a uTP connection, in the shape of a TCP socket's. */
import { Duplex } from 'node:stream'
import { limits, type TcpStream } from '@swarmatlas/core'
import type { Connection } from './connection.ts'

type Done = (error?: Error | null) => void

export interface UtpStream {
  readonly stream: TcpStream
  /** The next bytes came. */
  data(bytes: Uint8Array): void
  /** The peer ended its half. */
  ended(): void
  /** The connection has sent something. */
  sent(): void
  /** The connection is over. */
  gone(error: Error | undefined): void
}

export function createUtpStream(connection: Connection): UtpStream {
  return new ConnectionStream(connection)
}

class ConnectionStream extends Duplex implements UtpStream {
  bytesRead = 0
  bytesWritten = 0
  readonly #connection: Connection
  /** A write that waits for room. */
  #writing: Done | undefined
  #finishing: Done | undefined

  constructor(connection: Connection) {
    super({ allowHalfOpen: false })
    this.#connection = connection
    // As gate.dial: a broken stream shows as 'close'; an 'error' that nobody listens to would end the process.
    this.on('error', () => {})
  }

  get stream(): TcpStream {
    return this
  }

  data(bytes: Uint8Array): void {
    if (this.destroyed) return
    this.bytesRead += bytes.length
    this.push(bytes)
  }

  ended(): void {
    if (this.destroyed) return
    this.push(null)
    // Lets 'end' out also where nobody reads.
    this.read(0)
  }

  sent(): void {
    const { queuedBytes, finSent } = this.#connection
    if (this.#writing !== undefined && queuedBytes <= limits.utpWriteQueueBytes) {
      const done = this.#writing
      this.#writing = undefined
      done()
    }
    if (this.#finishing !== undefined && finSent) {
      const done = this.#finishing
      this.#finishing = undefined
      done()
    }
  }

  gone(error: Error | undefined): void {
    this.destroy(error)
  }

  override _write(chunk: Uint8Array, _encoding: string, done: Done): void {
    this.bytesWritten += chunk.length
    this.#connection.write(chunk)
    if (this.#connection.queuedBytes <= limits.utpWriteQueueBytes) done()
    else this.#writing = done
  }

  override _final(done: Done): void {
    this.#finishing = done
    this.#connection.end()
  }

  override _read(): void {
    this.#connection.read()
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#connection.close()
    done(error)
  }
}
