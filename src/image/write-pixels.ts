import { type Datatype, type NumericData, STORAGE } from '../runtime/datatype.js'
import { SubtenError } from '../runtime/errors.js'
import { bfloat16Bits, float16Bits, nearestEven } from '../runtime/half.js'
import type { Picture } from './decode.js'
import type { Box } from './geometry.js'
import type { ImageSpec } from './image-spec.js'

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
  const bgr = channels === 3 && spec.channelOrder === 'BGR'
  const whole = place.width === spec.width && place.height === spec.height
  if (!whole) fillGround(out, spec, table, area)
  for (let c = 0; c < channels; c++) {
    const from = bgr ? 2 - c : c
    const values = table[c] as NumericData
    // One loop over all where nothing is beside the picture, or else one for each line.
    const lines = whole ? 1 : place.height
    const length = whole ? area : place.width
    for (let line = 0; line < lines; line++) {
      const start = whole ? 0 : (place.top + line) * spec.width + place.left
      const first = line * width * channels + from
      if (nchw) plane(out as Float32Array, c * area + start, 1, data, first, channels, values as Float32Array, length)
      else
        plane(
          out as Float32Array,
          start * channels + c,
          channels,
          data,
          first,
          channels,
          values as Float32Array,
          length,
        )
    }
  }
}

/** The one loop over pixels: one channel, a step apart on both sides. */
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
