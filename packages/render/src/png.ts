/** The PNG painter: resvg draws the SVG, and a text chunk tells where the picture comes from (PNG, 3rd edition, 11.3.3). */
import { crc32 } from 'node:zlib'
import { renderAsync } from '@resvg/resvg-js'
import type { Scene } from './scene.ts'
import { toSvg } from './svg.ts'

/** `scale` 2 gives twice the pixels in each direction; 1 when undefined. */
export async function toPng(scene: Scene, { scale = 1 }: { scale?: number } = {}): Promise<Uint8Array> {
  const drawn = await renderAsync(toSvg(scene), {
    fitTo: { mode: 'width', value: Math.round(scene.pixelWidth * scale) },
    font: { loadSystemFonts: false },
  })
  return withText(drawn.asPng(), 'swarmatlas', asciiJson(scene.provenance))
}

const SIGNATURE_BYTES = 8
/** Length, type, 13 bytes of data, CRC: always the first chunk. */
const HEADER_CHUNK_BYTES = 25

/** Puts a tEXt chunk after the header. `text` must be Latin-1. */
function withText(png: Uint8Array, keyword: string, text: string): Uint8Array {
  const body = Buffer.from(`tEXt${keyword}\0${text}`, 'latin1')
  const chunk = Buffer.alloc(body.length + 8)
  chunk.writeUInt32BE(body.length - 4, 0)
  body.copy(chunk, 4)
  chunk.writeUInt32BE(crc32(body), body.length + 4)
  const split = SIGNATURE_BYTES + HEADER_CHUNK_BYTES
  return new Uint8Array(Buffer.concat([png.subarray(0, split), chunk, png.subarray(split)]))
}

/** JSON in ASCII: other characters stand as escapes. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
