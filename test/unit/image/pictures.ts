import { deflateSync } from 'node:zlib'
import sharp, { type Sharp } from 'sharp'
import { imageInputOf, imageSpecOf } from '../../../src/image/image-spec.js'
import { preparePicture } from '../../../src/image/prepare.js'
import { type Datatype, type NumericData, STORAGE } from '../../../src/runtime/datatype.js'
import { readyInput } from '../../../src/runtime/inputs.js'
import type { Model } from '../../../src/runtime/types.js'
import { fakeModel } from '../../../src/testing.js'

/** A model with one input, and how pictures become it. */
export function modelOf(shape: number[], block?: object, datatype: Datatype = 'FP32', maxBatchSize = 0): Model {
  const config = block ? { parameters: { 'subten.preprocess': { string_value: JSON.stringify(block) } } } : {}
  const outputs = [{ name: 'scores', datatype: 'FP32' as const, shape: [2] }]
  return fakeModel({ inputs: [{ name: 'image', datatype, shape }], outputs, config, maxBatchSize })
}

/** What the model would get of a picture. */
export async function tensorOf(bytes: Uint8Array, model: Model): Promise<{ shape: readonly number[]; data: number[] }> {
  const tensor = imageInputOf(model)
  const { input } = await preparePicture(bytes, imageSpecOf(model), tensor)
  const ready = readyInput(tensor, input.value, model.maxBatchSize > 0)
  const memory = new Uint8Array(ready.bytes)
  ready.write(memory)
  const { array, bytes: size } = STORAGE[tensor.datatype]
  const data: NumericData = new array(memory.buffer, 0, memory.length / size)
  return { shape: ready.shape, data: Array.from(data as Float32Array) }
}

/** Pixels (RGB, row by row) as a PNG, which keeps them as they are. */
export function png(width: number, height: number, pixels: ArrayLike<number>): Promise<Buffer> {
  const channels = (pixels.length / (width * height)) as 3
  return sharp(Uint8Array.from(pixels), { raw: { width, height, channels } }).png().toBuffer()
}

/** Something like a photo: smooth, with some noise; the same every time. */
export async function photo(width: number, height: number): Promise<Sharp> {
  const [w, h] = [Math.ceil(width / 32), Math.ceil(height / 32)]
  const noise = Uint8Array.from({ length: w * h * 3 }, (_, i) => Math.imul(i + 1, 2654435761) >>> 24)
  const data = await sharp(noise, { raw: { width: w, height: h, channels: 3 } })
    .resize(width, height, { fit: 'fill', kernel: 'cubic' })
    .raw()
    .toBuffer()
  return sharp(data, { raw: { width, height, channels: 3 } })
}

/** One chunk of a PNG. */
export function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type), data])
  const out = Buffer.alloc(body.length + 8)
  out.writeUInt32BE(data.length)
  body.copy(out, 4)
  out.writeUInt32BE(crc32(body), body.length + 4)
  return out
}

/** A PNG of grey pixels that says it is width × height, with these chunks before its data. */
export function pngSaying(width: number, height: number, rows: Buffer, more: [string, Uint8Array][] = []): Buffer {
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width)
  head.writeUInt32BE(height, 4)
  head.set([8, 0, 0, 0, 0], 8)
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', head),
    ...more.map(([type, data]) => chunk(type, data)),
    chunk('IDAT', deflateSync(rows, { level: 9 })),
    chunk('IEND', new Uint8Array(0)),
  ])
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  return (crc ^ 0xffffffff) >>> 0
}
