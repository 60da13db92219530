import { type Datatype, type NumericData, STORAGE } from '../runtime/datatype.js'
import { SubtenError } from '../runtime/errors.js'
import { bfloat16Bits, float16Bits, nearestEven } from '../runtime/half.js'
import type { Box } from './geometry.js'
import type { ImageSpec } from './image-spec.js'
import type { Picture } from './picture.js'

/** For each channel of the tensor, the value of each of the 256 pixels: elements of the tensor's own array. */
type Table = readonly NumericData[]

/** How a value becomes an element. Whole numbers are rounded, a half to the even one, and held to what the type has. */
const ELEMENTS: Readonly<Partial<Record<Datatype, (value: number) => number>>> = {
  FP32: (value) => value,
  FP64: (value) => value,
  FP16: float16Bits,
  BF16: bfloat16Bits,
  UINT8: held(0, 255),
  INT8: held(-128, 127),
  UINT16: held(0, 65_535),
  INT16: held(-32_768, 32_767),
  INT32: held(-(2 ** 31), 2 ** 31 - 1),
}

function held(least: number, most: number): (value: number) => number {
  return (value) => Math.min(most, Math.max(least, nearestEven(value)))
}

const tables = new WeakMap<ImageSpec, Map<Datatype, Table>>()

/**
 * The values of the 256 pixels by channel, made once for a spec: what is done for each pixel is then to look one up.
 *
 * @throws SubtenError NOT_SUPPORTED for datatypes that hold no pixels
 */
export function tableOf(spec: ImageSpec, datatype: Datatype, tensor: string): Table {
  let ofSpec = tables.get(spec)
  if (ofSpec === undefined) {
    ofSpec = new Map()
    tables.set(spec, ofSpec)
  }
  let table = ofSpec.get(datatype)
  if (table === undefined) {
    const element = ELEMENTS[datatype]
    if (element === undefined) {
      const names = Object.keys(ELEMENTS).join(', ')
      throw new SubtenError('NOT_SUPPORTED', `pictures can be made ${names}, but '${tensor}' is ${datatype}`)
    }
    const { array } = STORAGE[datatype]
    table = Array.from({ length: spec.channels }, (_, c) => {
      const mean = spec.mean[c] ?? (spec.mean[0] as number)
      const std = spec.std[c] ?? (spec.std[0] as number)
      const values = new array(256)
      for (let pixel = 0; pixel < 256; pixel++) values[pixel] = element((pixel * spec.scale - mean) / std)
      return values
    })
    ofSpec.set(datatype, table)
  }
  return table
}

/**
 * Writes a picture of the tensor's size, or of `place` in it, as elements of `datatype` into the memory of a request.
 *
 * @param target the bytes of one row of the tensor
 */
export function writePixels(
  { data, width, channels }: Picture,
  place: Box,
  spec: ImageSpec,
  table: Table,
  datatype: Datatype,
  target: Uint8Array,
): void {
  const { array } = STORAGE[datatype]
  const area = spec.width * spec.height
  const out = new array(target.buffer, target.byteOffset, area * channels)
  const nchw = spec.layout === 'NCHW'
  const whole = place.width === spec.width && place.height === spec.height
  const firstOfPixel = (c: number): number => (channels === 3 && spec.channelOrder === 'BGR' ? 2 - c : c)
  if (whole && channels === 3 && out instanceof Float32Array) {
    const [red, green, blue] = [0, 1, 2].map((c) => wordsOf(table[firstOfPixel(c)] as Float32Array))
    const places = [0, 1, 2].map((c) => firstOfPixel(c) * (nchw ? area : 1))
    const colours = [red, green, blue] as Words3
    threeChannels(wordsOf(out), data, area, colours, places as [number, number, number], nchw ? 1 : 3)
    return
  }
  if (!whole) fillGround(out, spec, table, area)
  // One loop over all where nothing is beside the picture, or else one for each line.
  const lines = whole ? 1 : place.height
  const length = whole ? area : place.width
  for (let c = 0; c < channels; c++) {
    const values = table[c] as Float32Array
    for (let line = 0; line < lines; line++) {
      const start = whole ? 0 : (place.top + line) * spec.width + place.left
      const first = line * width * channels + firstOfPixel(c)
      const to = nchw ? c * area + start : start * channels + c
      plane(out as Float32Array, to, nchw ? 1 : channels, data, first, channels, values, length)
    }
  }
}

type Words3 = readonly [Int32Array, Int32Array, Int32Array]

/** FP32 as its bits: copied as whole numbers, no value becomes a double and back on its way. */
function wordsOf({ buffer, byteOffset, length }: Float32Array): Int32Array {
  return new Int32Array(buffer, byteOffset, length)
}

/**
 * Three channels of FP32, the usual case, in a loop of their own: four pixels are read as three words, which takes a third
 * of the time of reading each byte (bench/classify.mjs).
 *
 * @param places where the first red, green and blue are
 * @param step from one value of a channel to its next: 1 in planes, 3 in pixels
 */
function threeChannels(
  out: Int32Array,
  data: Uint8Array,
  area: number,
  [red, green, blue]: Words3,
  [r, g, b]: readonly [number, number, number],
  step: 1 | 3,
): void {
  const words = readAsWords(data)
  const inWords = area & ~3
  const second = 2 * step
  const third = 3 * step
  let o = 0
  for (let i = 0, w = 0; i < inWords; i += 4, w += 3, o += 4 * step) {
    const x = words[w] as number
    const y = words[w + 1] as number
    const z = words[w + 2] as number
    out[o + r] = red[x & 255] as number
    out[o + g] = green[(x >>> 8) & 255] as number
    out[o + b] = blue[(x >>> 16) & 255] as number
    out[o + r + step] = red[x >>> 24] as number
    out[o + g + step] = green[y & 255] as number
    out[o + b + step] = blue[(y >>> 8) & 255] as number
    out[o + r + second] = red[(y >>> 16) & 255] as number
    out[o + g + second] = green[y >>> 24] as number
    out[o + b + second] = blue[z & 255] as number
    out[o + r + third] = red[(z >>> 8) & 255] as number
    out[o + g + third] = green[(z >>> 16) & 255] as number
    out[o + b + third] = blue[z >>> 24] as number
  }
  for (let i = 3 * inWords; i < 3 * area; i += 3, o += step) {
    out[o + r] = red[data[i] as number] as number
    out[o + g] = green[data[i + 1] as number] as number
    out[o + b] = blue[data[i + 2] as number] as number
  }
}

/** Bytes as little-endian words, as all platforms of subten have them; copied where they are not aligned. */
function readAsWords(data: Uint8Array): Uint32Array {
  const aligned = data.byteOffset % 4 === 0 ? data : new Uint8Array(data)
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length >> 2)
}

/** One channel, its values a step apart on both sides. */
function plane(
  out: Float32Array,
  to: number,
  outStep: number,
  pixels: Uint8Array,
  from: number,
  step: number,
  values: Float32Array,
  length: number,
): void {
  for (let i = 0, o = to, p = from; i < length; i++, o += outStep, p += step) {
    out[o] = values[pixels[p] as number] as number
  }
}

function fillGround(out: NumericData, spec: ImageSpec, table: Table, area: number): void {
  const { channels, background, channelOrder, layout } = spec
  for (let c = 0; c < channels; c++) {
    const from = channels === 3 && channelOrder === 'BGR' ? 2 - c : c
    const level = channels === 1 ? luma(background) : (background[from] ?? (background[0] as number))
    const value = (table[c] as Float32Array)[Math.round(level)] as number
    if (layout === 'NCHW') (out as Float32Array).fill(value, c * area, (c + 1) * area)
    else for (let i = 0; i < area; i++) (out as Float32Array)[i * channels + c] = value
  }
}

function luma([r = 0, g = r, b = r]: readonly number[]): number {
  return 0.299 * r + 0.587 * g + 0.114 * b
}
