/** A file that is written in one go and seen only whole: a temporary beside it, renamed at the end. */
import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { limits, messageOf, SwarmatlasError } from '@swarmatlas/core'

export interface WrittenFile {
  /** Absolute. */
  readonly path: string
  readonly bytes: number
  /** Hex. */
  readonly sha256: string
}

export class FileSink implements AsyncDisposable {
  readonly path: string
  readonly #temporary: string
  readonly #hash: Hash = createHash('sha256')
  #file: FileHandle | undefined
  #pending = ''
  #bytes = 0

  private constructor(path: string) {
    this.path = resolve(path)
    this.#temporary = `${this.path}.${process.pid}.tmp`
  }

  /** Makes the folder where there is none. */
  static async create(path: string): Promise<FileSink> {
    const sink = new FileSink(path)
    await sink.#guarded(async () => {
      await mkdir(dirname(sink.path), { recursive: true })
      sink.#file = await open(sink.#temporary, 'w+')
    })
    return sink
  }

  /** A promise only when the buffer went to the file: await it before the next write. */
  write(text: string): Promise<void> | undefined {
    this.#pending += text
    return this.#pending.length >= limits.exportBufferBytes ? this.#flush() : undefined
  }

  /** Bytes are taken over at once. */
  async writeBytes(bytes: Uint8Array): Promise<void> {
    await this.#flush()
    await this.#append(bytes)
  }

  /** Appends a temporary, which is finished by it and gone afterwards. */
  async takeOver(other: FileSink): Promise<void> {
    await this.#flush()
    await other.#flush()
    const from = other.#file as FileHandle
    const chunk = Buffer.allocUnsafe(limits.exportBufferBytes)
    for (let at = 0; ; ) {
      const { bytesRead } = await from.read(chunk, 0, chunk.length, at)
      if (bytesRead === 0) break
      at += bytesRead
      await this.#append(chunk.subarray(0, bytesRead))
    }
    await other[Symbol.asyncDispose]()
  }

  /** All is on its way to the disk; the file is still a temporary. */
  async finish(): Promise<WrittenFile> {
    await this.#flush()
    await this.#guarded(async () => {
      await this.#file?.sync()
      await this.#close()
    })
    return { path: this.path, bytes: this.#bytes, sha256: this.#hash.digest('hex') }
  }

  /** After `finish`: gives the file its name. */
  async publish(): Promise<void> {
    await this.#guarded(() => rename(this.#temporary, this.path))
  }

  /** Removes the temporary, when there is one still. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
    await rm(this.#temporary, { force: true })
  }

  async #flush(): Promise<void> {
    if (this.#pending === '') return
    const bytes = Buffer.from(this.#pending)
    this.#pending = ''
    await this.#append(bytes)
  }

  async #append(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes)
    this.#bytes += bytes.length
    await this.#guarded(async () => {
      for (let done = 0; done < bytes.length; ) {
        done += (await (this.#file as FileHandle).write(bytes, done)).bytesWritten
      }
    })
  }

  async #close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }

  async #guarded(task: () => Promise<unknown>): Promise<void> {
    try {
      await task()
    } catch (error) {
      throw new SwarmatlasError('WRITE_FAILED', `cannot write ${this.path}: ${messageOf(error)}`, {
        cause: error,
        hint: 'choose another file with -o',
      })
    }
  }
}
