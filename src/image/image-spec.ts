import type { Datatype } from '../runtime/datatype.js'
import { SubtenError } from '../runtime/errors.js'
import type { Model, TensorSpec } from '../runtime/types.js'

export const FITS = ['cover', 'contain', 'fill', 'ink'] as const
export const KERNELS = ['nearest', 'linear', 'cubic', 'mitchell', 'lanczos2', 'lanczos3'] as const

/** The config parameter with the block, and the name it had before, which is still read. */
export const PREPROCESS = 'subten.preprocess'
export const OLDER_NAME = 'subten.image'

/** How a picture becomes the input tensor of a model: the JSON in the config parameter `subten.preprocess`. */
export interface ImageSpec {
  readonly input: string
  readonly channels: 1 | 3
  readonly height: number
  readonly width: number
  readonly layout: 'NCHW' | 'NHWC'
  /** The order of three channels in the tensor; `mean` and `std` are in this order too. */
  readonly channelOrder: 'RGB' | 'BGR'
  /** value = (pixel × scale − mean) / std, for pixels 0 to 255. */
  readonly scale: number
  readonly mean: readonly number[]
  readonly std: readonly number[]
  /** 'ink': cut out what is drawn, centre it in a square, shrink; the others as CSS object-fit. */
  readonly fit: (typeof FITS)[number]
  /**
   * First resize so that the shorter side has so many pixels, or to [height, width] whatever the aspect; then cut
   * height × width out of the middle. Undefined: `fit` does it in one step.
   */
  readonly resize: number | readonly [height: number, width: number] | undefined
  /** 'contain': the pixels (0 to 255, RGB) beside the picture. */
  readonly background: readonly number[]
  /** What is under a transparent picture: pixels (0 to 255, RGB), or 'auto': what shows its strokes, black or white. */
  readonly ground: 'auto' | readonly number[]
  /** Whether JPEG and WebP may be decoded at a fraction of their size: faster, and slightly other pixels. */
  readonly shrinkOnLoad: boolean
  /** 'ink': room on each side, as a fraction of the longer side of the drawing. */
  readonly margin: number
  /** 'ink': what is fainter than this fraction of the brightest pixel is not part of the drawing. */
  readonly threshold: number
  /** 'white-on-black': a picture with a bright border is inverted. */
  readonly polarity: 'any' | 'white-on-black'
  readonly kernel: (typeof KERNELS)[number]
}

/** Every key of the block. */
const KEYS: ReadonlySet<string> = new Set([
  ...['input', 'channels', 'height', 'width', 'layout', 'channelOrder', 'scale', 'mean', 'std', 'fit', 'resize'],
  ...['crop', 'background', 'ground', 'shrinkOnLoad', 'margin', 'threshold', 'polarity', 'kernel', 'softmax'],
])

interface Settings {
  readonly spec: ImageSpec
  readonly softmax: boolean
}

const known = new WeakMap<Model, Settings>()

/** The spec from the model's config, or the one that the shape of its only image-like input suggests. */
export function imageSpecOf(model: Model): ImageSpec {
  return settingsOf(model).spec
}

/** Whether the scores of the model are logits that `subten.preprocess` wants as probabilities (`"softmax": true`). */
export function softmaxWanted(model: Model): boolean {
  return settingsOf(model).softmax
}

/** The input that takes the picture. */
export function imageInputOf(model: Model): TensorSpec {
  const { input } = imageSpecOf(model)
  return model.inputs.find(({ name }) => name === input) as TensorSpec
}

function settingsOf(model: Model): Settings {
  let settings = known.get(model)
  if (!settings) {
    const [name, text] = blockOf(model)
    const given = text === undefined ? {} : parseObject(model.name, name, text)
    settings = { spec: complete(model, name, given), softmax: given.softmax === true }
    known.set(model, settings)
  }
  return settings
}

/** Name and text of the block. */
function blockOf(model: Model): [name: string, text: string | undefined] {
  const block = parameterOf(model, PREPROCESS)
  const older = parameterOf(model, OLDER_NAME)
  if (block !== undefined && older !== undefined) {
    throw new SubtenError('CONFIG_INVALID', `model '${model.name}' has both ${PREPROCESS} and ${OLDER_NAME}`, {
      remedy: `Take ${OLDER_NAME}, the older name, out of config.pbtxt.`,
    })
  }
  return older === undefined ? [PREPROCESS, block] : [OLDER_NAME, older]
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

function parseObject(model: string, name: string, text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new SubtenError('CONFIG_INVALID', `model '${model}': ${name} is not JSON`, { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new SubtenError('CONFIG_INVALID', `model '${model}': ${name} must be a JSON object`)
  }
  // What was written under the older name may have keys that nobody looked at.
  const unknown = name === OLDER_NAME ? undefined : Object.keys(value).find((key) => !KEYS.has(key))
  if (unknown !== undefined) {
    throw new SubtenError('CONFIG_INVALID', `model '${model}': ${name} has an unknown key '${unknown}'`, {
      remedy: `The keys are ${[...KEYS].join(', ')}.`,
    })
  }
  return value as Record<string, unknown>
}

function complete(model: Model, name: string, given: Record<string, unknown>): ImageSpec {
  const bad = (key: string, wanted: string): SubtenError =>
    new SubtenError('CONFIG_INVALID', `model '${model.name}': ${key} in ${name} must be ${wanted}`)
  const shape = shapeFor(model, name, given.input)
  const number = (key: string, otherwise: number, low: number, high: number): number => {
    const value = given[key] ?? otherwise
    if (typeof value === 'number' && value >= low && value <= high) return value
    throw bad(key, `a number from ${low} to ${high}`)
  }
  const crop = pairOf(given.crop)
  if (given.crop !== undefined && crop === undefined) throw bad('crop', 'a size, or [height, width]')
  const size = (key: 'height' | 'width'): number => {
    const cut = crop?.[key === 'height' ? 0 : 1]
    const known = shape[key] === -1 ? undefined : shape[key]
    const value = given[key] ?? cut ?? known
    if (!isSize(value)) throw bad(key, 'a whole number from 1 to 8192 (the shape of the input does not tell it)')
    if (cut !== undefined && cut !== value) throw bad('crop', `${key} ${value}, which the tensor has`)
    return value
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
  const shrinkOnLoad = given.shrinkOnLoad ?? true
  if (typeof shrinkOnLoad !== 'boolean') throw bad('shrinkOnLoad', 'true or false')
  const height = size('height')
  const width = size('width')
  const spec: ImageSpec = {
    input: shape.input,
    channels,
    height,
    width,
    layout: oneOf('layout', ['NCHW', 'NHWC'], shape.layout),
    channelOrder: oneOf('channelOrder', ['RGB', 'BGR'], 'RGB'),
    scale: number('scale', shape.integer ? 1 : 1 / 255, -1e6, 1e6),
    mean: perChannel('mean', 0),
    std: perChannel('std', 1),
    fit: oneOf('fit', FITS, 'cover'),
    resize: resizeOf(given.resize, height, width, bad),
    background: pixelOf(given.background ?? [0]) ?? raise(bad('background', PIXEL)),
    ground:
      given.ground === undefined || given.ground === 'auto'
        ? 'auto'
        : (pixelOf(given.ground) ?? raise(bad('ground', `'auto' or ${PIXEL}`))),
    shrinkOnLoad,
    margin: number('margin', 0.05, 0, 4),
    threshold: number('threshold', 0.25, 0, 1),
    polarity: oneOf('polarity', ['any', 'white-on-black'], 'any'),
    kernel: oneOf('kernel', KERNELS, 'lanczos3'),
  }
  if (spec.resize !== undefined && given.fit !== undefined && given.fit !== 'cover') {
    throw bad('fit', "left out beside resize, which cuts the middle out as 'cover' does")
  }
  if (crop !== undefined && spec.resize === undefined)
    throw bad('resize', 'given beside crop: what is cut is resized first')
  return spec
}

const PIXEL = 'a list of 1 or 3 numbers from 0 to 255'

function raise(error: SubtenError): never {
  throw error
}

function isSize(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 8192
}

/** A side for both, or [height, width]. */
function pairOf(value: unknown): readonly [number, number] | undefined {
  if (isSize(value)) return [value, value]
  if (Array.isArray(value) && value.length === 2 && value.every(isSize)) return [value[0] as number, value[1] as number]
  return undefined
}

function pixelOf(value: unknown): readonly number[] | undefined {
  const right = Array.isArray(value) && (value.length === 1 || value.length === 3)
  return right && value.every((v) => typeof v === 'number' && v >= 0 && v <= 255) ? (value as number[]) : undefined
}

function resizeOf(
  value: unknown,
  height: number,
  width: number,
  bad: (key: string, wanted: string) => SubtenError,
): ImageSpec['resize'] {
  if (value === undefined || value === null) return undefined
  const pair = pairOf(value)
  if (pair === undefined) throw bad('resize', 'the pixels of the shorter side, or [height, width], from 1 to 8192')
  const least = isSize(value) ? Math.max(height, width) : undefined
  if (pair[0] < (least ?? height) || pair[1] < (least ?? width)) {
    throw bad('resize', `at least ${least ?? `[${height}, ${width}]`}: ${height} × ${width} are cut out of it`)
  }
  return isSize(value) ? value : pair
}

interface ImageShape {
  input: string
  channels: number
  height: number
  width: number
  layout: 'NCHW' | 'NHWC'
  integer: boolean
}

function shapeFor(model: Model, name: string, input: unknown): ImageShape {
  const spec = input === undefined ? model.inputs[0] : model.inputs.find((each) => each.name === input)
  if (input !== undefined && !spec) {
    throw new SubtenError('CONFIG_INVALID', `model '${model.name}': ${name} names an input that is not there`)
  }
  if (!spec || model.inputs.some((each) => each !== spec && !each.optional)) {
    throw new SubtenError('NOT_SUPPORTED', `model '${model.name}' does not take one picture: it has several inputs`, {
      remedy: 'Send its tensors to /v2/models/{model}/infer instead.',
    })
  }
  return { input: spec.name, integer: INTEGERS.has(spec.datatype), ...dimensions(spec) }
}

/** Inputs that take pixels as they are where the config does not say more. */
const INTEGERS: ReadonlySet<Datatype> = new Set(['UINT8', 'INT8', 'UINT16', 'INT16', 'INT32'])

/** [C, H, W] or [H, W, C], with or without a batch dimension; [H, W] is one channel. Unknown sizes stay -1. */
function dimensions(spec: TensorSpec): Pick<ImageShape, 'channels' | 'height' | 'width' | 'layout'> {
  const [a = -1, b = -1, c = -1] = spec.shape.slice(-3)
  if (spec.shape.length < 3) return { channels: 1, height: b === -1 ? -1 : a, width: b, layout: 'NCHW' }
  if (c === 1 || c === 3) {
    if (a !== 1 && a !== 3) return { channels: c, height: a, width: b, layout: 'NHWC' }
  }
  return { channels: a, height: b, width: c, layout: 'NCHW' }
}
