import sharp from 'sharp'
import { SubtenError } from '../runtime/errors.js'
import type { TensorInput, TensorSpec } from '../runtime/types.js'
import type { Picture } from './decode.js'
import type { ImageSpec } from './image-spec.js'
import { squareOfInk, whiteOnBlack } from './ink.js'

/** A decoded picture as the input tensor of a model: polarity, fit, resize, then (pixel × scale − mean) / std. */
export async function preprocess(picture: Picture, spec: ImageSpec, tensor: TensorSpec): Promise<TensorInput> {
  if (tensor.datatype !== 'FP32' && tensor.datatype !== 'UINT8') {
    throw new SubtenError(
      'NOT_SUPPORTED',
      `pictures can be made FP32 or UINT8, but '${tensor.name}' is ${tensor.datatype}`,
    )
  }
  const upright = spec.polarity === 'white-on-black' ? whiteOnBlack(picture) : picture
  const cut = spec.fit === 'ink' ? squareOfInk(upright, spec.margin, spec.threshold) : upright
  const pixels = await resize(cut, spec)
  const values = normalise(pixels, spec, tensor.datatype === 'UINT8')
  return { data: values, shape: shapeOf(spec, tensor), datatype: tensor.datatype }
}

async function resize(picture: Picture, spec: ImageSpec): Promise<Uint8Array> {
  const { data, width, height, channels } = picture
  if (width === spec.width && height === spec.height) return data
  const resized = sharp(data, { raw: { width, height, channels } }).resize(spec.width, spec.height, {
    fit: spec.fit === 'ink' ? 'fill' : spec.fit,
    kernel: spec.kernel,
    background: '#000',
  })
  const out = await (channels === 1 ? resized.toColourspace('b-w') : resized)
    .raw()
    .toBuffer({ resolveWithObject: true })
  return out.info.channels === channels ? out.data : firstChannels(out.data, out.info.channels, channels)
}

function firstChannels(data: Uint8Array, from: number, to: number): Uint8Array {
  const out = new Uint8Array((data.length / from) * to)
  for (let i = 0; i < out.length; i++) out[i] = data[Math.floor(i / to) * from + (i % to)] as number
  return out
}

function normalise(pixels: Uint8Array, spec: ImageSpec, integer: boolean): Float32Array | Uint8Array {
  const { channels, scale, mean, std } = spec
  const area = spec.width * spec.height
  const values = integer ? new Uint8ClampedArray(area * channels) : new Float32Array(area * channels)
  for (let c = 0; c < channels; c++) {
    const m = mean[c] ?? (mean[0] as number)
    const s = std[c] ?? (std[0] as number)
    for (let i = 0; i < area; i++) {
      const value = ((pixels[i * channels + c] as number) * scale - m) / s
      values[spec.layout === 'NCHW' ? c * area + i : i * channels + c] = value
    }
  }
  return values instanceof Float32Array ? values : new Uint8Array(values.buffer)
}

function shapeOf(spec: ImageSpec, tensor: TensorSpec): number[] {
  const { channels, height, width } = spec
  const whole = spec.layout === 'NCHW' ? [channels, height, width] : [height, width, channels]
  const rank = tensor.shape.length
  const flat = channels * height * width
  if (rank > 4 || rank < 1) {
    throw new SubtenError(
      'NOT_SUPPORTED',
      `'${tensor.name}' has ${rank} dimensions; a picture has at most 4 with its batch`,
    )
  }
  // [H, W] and [N, H, W] are grey pictures without a channel dimension; [N] and [N, K] are flattened ones.
  const [first = -1] = tensor.shape
  if (rank === 4) return [1, ...whole]
  if (rank === 3) return first === -1 && channels === 1 ? [1, height, width] : whole
  if (rank === 2) return first === height && channels === 1 ? [height, width] : [1, flat]
  return [flat]
}
