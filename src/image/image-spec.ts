import { SubtenError } from '../runtime/errors.js'
import type { Model, TensorSpec } from '../runtime/types.js'

export const FITS = ['cover', 'contain', 'fill', 'ink'] as const
export const KERNELS = ['nearest', 'linear', 'cubic', 'mitchell', 'lanczos2', 'lanczos3'] as const

/** How a picture becomes the input tensor of a model: the JSON in the config parameter `subten.image`. */
export interface ImageSpec {
  readonly input: string
  readonly channels: 1 | 3
  readonly height: number
  readonly width: number
  readonly layout: 'NCHW' | 'NHWC'
  /** value = (pixel × scale − mean) / std, for pixels 0 to 255. */
  readonly scale: number
  readonly mean: readonly number[]
  readonly std: readonly number[]
  /** 'ink': cut out what is drawn, centre it in a square, shrink; the others as CSS object-fit. */
  readonly fit: (typeof FITS)[number]
  /** 'ink': room on each side, as a fraction of the longer side of the drawing. */
  readonly margin: number
  /** 'ink': what is fainter than this fraction of the brightest pixel is not part of the drawing. */
  readonly threshold: number
  /** 'white-on-black': a picture with a bright border is inverted. */
  readonly polarity: 'any' | 'white-on-black'
  readonly kernel: (typeof KERNELS)[number]
}

const known = new WeakMap<Model, { spec: ImageSpec; softmax: boolean }>()

/** The spec from the model's config, or the one that the shape of its only image-like input suggests. */
export function imageSpecOf(model: Model): ImageSpec {
  return settingsOf(model).spec
}

/** Whether the scores of the model are logits that `subten.image` wants as probabilities (`"softmax": true`). */
export function softmaxWanted(model: Model): boolean {
  return settingsOf(model).softmax
}

function settingsOf(model: Model): { spec: ImageSpec; softmax: boolean } {
  let settings = known.get(model)
  if (!settings) {
    const text = parameterOf(model, 'subten.image')
    const given = text === undefined ? {} : parseObject(model.name, text)
    settings = { spec: complete(model, given), softmax: given.softmax === true }
    known.set(model, settings)
  }
  return settings
}

/** A string of `parameters` in the config, in Triton's form `{ key: { string_value } }` or plain. */
function parameterOf(model: Model, key: string): string | undefined {
  const parameters = model.config.parameters
  if (typeof parameters !== 'object' || parameters === null || !Object.hasOwn(parameters, key)) return undefined
  const value = (parameters as Record<string, unknown>)[key]
  if (typeof value === 'string') return value
  if (typeof value !== 'object' || value === null) return undefined
  const { string_value: snake, stringValue: camel } = value as { string_value?: unknown; stringValue?: unknown }
  const found = snake ?? camel
  return typeof found === 'string' ? found : undefined
}

function parseObject(model: string, text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch (cause) {
    throw new SubtenError('CONFIG_INVALID', `model '${model}': subten.image is not JSON`, { cause })
  }
  throw new SubtenError('CONFIG_INVALID', `model '${model}': subten.image must be a JSON object`)
}

function complete(model: Model, given: Record<string, unknown>): ImageSpec {
  const bad = (key: string, wanted: string): SubtenError =>
    new SubtenError('CONFIG_INVALID', `model '${model.name}': ${key} in subten.image must be ${wanted}`)
  const shape = shapeFor(model, given.input)
  const number = (key: string, otherwise: number, low: number, high: number): number => {
    const value = given[key] ?? otherwise
    if (typeof value === 'number' && value >= low && value <= high) return value
    throw bad(key, `a number from ${low} to ${high}`)
  }
  const size = (key: string, otherwise: number): number => {
    const value = given[key] ?? otherwise
    if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 8192) return value
    throw bad(key, 'a whole number from 1 to 8192 (the shape of the input does not tell it)')
  }
  const oneOf = <T extends string>(key: string, values: readonly T[], otherwise: T): T => {
    const value = given[key] ?? otherwise
    if (values.includes(value as T)) return value as T
    throw bad(key, `one of ${values.join(', ')}`)
  }
  const channels = given.channels ?? shape.channels
  if (channels !== 1 && channels !== 3) throw bad('channels', '1 or 3')
  const perChannel = (key: string, otherwise: number): readonly number[] => {
    const value = given[key] ?? [otherwise]
    const right = Array.isArray(value) && (value.length === 1 || value.length === channels)
    if (right && value.every((v) => Number.isFinite(v) && (key !== 'std' || v !== 0))) return value as number[]
    throw bad(key, `a list of 1 or ${channels} numbers`)
  }
  return {
    input: shape.input,
    channels,
    height: size('height', shape.height),
    width: size('width', shape.width),
    layout: oneOf('layout', ['NCHW', 'NHWC'], shape.layout),
    scale: number('scale', shape.integer ? 1 : 1 / 255, -1e6, 1e6),
    mean: perChannel('mean', 0),
    std: perChannel('std', 1),
    fit: oneOf('fit', FITS, 'cover'),
    margin: number('margin', 0.05, 0, 4),
    threshold: number('threshold', 0.25, 0, 1),
    polarity: oneOf('polarity', ['any', 'white-on-black'], 'any'),
    kernel: oneOf('kernel', KERNELS, 'lanczos3'),
  }
}

interface ImageShape {
  input: string
  channels: number
  height: number
  width: number
  layout: 'NCHW' | 'NHWC'
  integer: boolean
}

function shapeFor(model: Model, name: unknown): ImageShape {
  const spec = name === undefined ? model.inputs[0] : model.inputs.find((input) => input.name === name)
  if (name !== undefined && !spec) {
    throw new SubtenError('CONFIG_INVALID', `model '${model.name}': subten.image names an input that is not there`)
  }
  if (!spec || model.inputs.some((input) => input !== spec && !input.optional)) {
    throw new SubtenError('NOT_SUPPORTED', `model '${model.name}' does not take one picture: it has several inputs`, {
      remedy: 'Send its tensors to /v2/models/{model}/infer instead.',
    })
  }
  return { input: spec.name, integer: spec.datatype === 'UINT8', ...dimensions(spec) }
}

/** [C, H, W] or [H, W, C], with or without a batch dimension; [H, W] is one channel. Unknown sizes stay -1. */
function dimensions(spec: TensorSpec): Pick<ImageShape, 'channels' | 'height' | 'width' | 'layout'> {
  const [a = -1, b = -1, c = -1] = spec.shape.slice(-3)
  if (spec.shape.length < 3) return { channels: 1, height: b === -1 ? -1 : a, width: b, layout: 'NCHW' }
  if (c === 1 || c === 3) {
    if (a !== 1 && a !== 3) return { channels: c, height: a, width: b, layout: 'NHWC' }
  }
  return { channels: a, height: b, width: c, layout: 'NCHW' }
}
